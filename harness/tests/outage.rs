//! Verifies promises D1 (durable) and D2 (no loss) on a server whose Postgres becomes unreachable and recovers.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use woosh_harness::{Backend, TestDatabase};
use woosh_server::server::{Config, Limits, Server};

fn main() {
    let name = "requests_get_503_while_postgres_is_unreachable_and_no_accepted_message_is_lost";
    let trial = support::trial("postgres", Backend::Postgres, name, outage);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

/// A proxy between a server and its database that can cut all connections.
struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
}

impl Proxy {
    async fn start(database: PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(true);
        let database = Arc::new(database);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (database, mut is_open) = (database.clone(), is_open.clone());
                tokio::spawn(async move {
                    if !*is_open.borrow_and_update() {
                        return;
                    }
                    let server = connect(&database).await;
                    tokio::select! {
                        () = forward(client, server) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port, open }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(database: &PgConnectOptions) -> Box<dyn Stream> {
    match database.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", database.get_port()));
            Box::new(UnixStream::connect(path).await.unwrap())
        }
        None => Box::new(TcpStream::connect((database.get_host(), database.get_port())).await.unwrap()),
    }
}

async fn forward(mut client: TcpStream, mut server: Box<dyn Stream>) {
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

struct Fixture {
    client: Client,
    url: String,
}

impl Fixture {
    async fn request(&self, user: &str, method: &str, path: &str, body: &Value) -> Response {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url)).json(body);
        request.header("x-user-name", user).header("x-user-token", "secret").send().await.unwrap()
    }

    async fn send(&self, contents: &str) -> Response {
        self.request("alice", "POST", "/messages", &json!({ "recipient": "bob", "contents": contents })).await
    }

    async fn is_ready(&self) -> bool {
        self.client.get(format!("{}/health/ready", self.url)).send().await.unwrap().status() == 200
    }
}

/// Verifies promises D1 (durable) and D2 (no loss).
fn outage() -> Result<(), Failed> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let database = TestDatabase::create(Backend::Postgres).await.map_err(|error| format!("{error:#}"))?;
        let options = database.postgres_options().unwrap();
        let name = options.get_database().unwrap().to_owned();
        let proxy = Proxy::start(options).await;
        let config = Config {
            host: "127.0.0.1".to_owned(),
            port: 0,
            database: format!("postgres://woosh@127.0.0.1:{}/{name}?sslmode=disable", proxy.port).parse()?,
            database_wait: Duration::from_secs(5),
            limits: Limits::default(),
            grace: Duration::ZERO,
        };
        let server = Server::bind(&config).await?;
        let fixture =
            Fixture { client: Client::builder().no_proxy().build()?, url: format!("http://{}", server.address()) };
        tokio::spawn(server.run_until(std::future::pending()));

        for name in ["alice", "bob"] {
            let user = json!({ "username": name, "password": "secret", "public_key": "", "private_key": "" });
            assert_eq!(fixture.request("", "POST", "/users", &user).await.status(), 201);
        }
        let mut sent = Vec::new();
        for outage in 0..2 {
            for count in 0..20 {
                let contents = format!("{outage}/{count}");
                assert_eq!(fixture.send(&contents).await.status(), 201);
                sent.push(contents);
            }
            proxy.open.send(false)?;
            let refused = fixture.send("refused").await;
            assert_eq!(refused.status(), 503);
            assert!(refused.headers().contains_key("retry-after"));
            assert!(!fixture.is_ready().await);

            proxy.open.send(true)?;
            let start = Instant::now();
            while !fixture.is_ready().await {
                assert!(start.elapsed() < Duration::from_secs(30), "the server does not recover");
            }
            // Once it reports that it is ready, it accepts messages.
            assert_eq!(fixture.send("recovered").await.status(), 201);
            sent.push("recovered".to_owned());
        }
        let page: Value = fixture.request("bob", "GET", "/messages", &Value::Null).await.json().await?;
        let received = page["messages"].as_array().unwrap().iter().map(|message| message["contents"].as_str().unwrap());
        assert_eq!(received.collect::<Vec<_>>(), sent);
        Ok(())
    })
}
