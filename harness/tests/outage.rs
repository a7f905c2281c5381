//! A Postgres that goes away and comes back.
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
    let name = "requests_get_503_while_the_database_is_away_and_nothing_answered_is_lost";
    let trial = support::trial("postgres", Backend::Postgres, name, outage);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

/// Stands between a server and its database, and can part them.
struct Bridge {
    port: u16,
    open: watch::Sender<bool>,
}

impl Bridge {
    async fn to(database: PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(true);
        let database = Arc::new(database);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (database, mut is_open) = (database.clone(), is_open.clone());
                tokio::spawn(async move {
                    if !*is_open.borrow_and_update() {
                        return;
                    }
                    let far = connect(&database).await;
                    tokio::select! {
                        () = join(near, far) => {}
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

async fn join(mut near: TcpStream, mut far: Box<dyn Stream>) {
    let _ = copy_bidirectional(&mut near, &mut far).await;
}

struct Scene {
    client: Client,
    url: String,
}

impl Scene {
    async fn ask(&self, user: &str, method: &str, path: &str, body: &Value) -> Response {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url)).json(body);
        request.header("x-user-name", user).header("x-user-token", "secret").send().await.unwrap()
    }

    async fn send(&self, contents: &str) -> Response {
        self.ask("alice", "POST", "/messages", &json!({ "recipient": "bob", "contents": contents })).await
    }

    async fn is_ready(&self) -> bool {
        self.client.get(format!("{}/health/ready", self.url)).send().await.unwrap().status() == 200
    }
}

fn outage() -> Result<(), Failed> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let database = TestDatabase::create(Backend::Postgres).await.map_err(|error| format!("{error:#}"))?;
        let options = database.postgres_options().unwrap();
        let name = options.get_database().unwrap().to_owned();
        let bridge = Bridge::to(options).await;
        let config = Config {
            host: "127.0.0.1".to_owned(),
            port: 0,
            database: format!("postgres://woosh@127.0.0.1:{}/{name}?sslmode=disable", bridge.port).parse()?,
            database_wait: Duration::from_secs(5),
            limits: Limits::default(),
            grace: Duration::ZERO,
        };
        let server = Server::bind(&config).await?;
        let scene =
            Scene { client: Client::builder().no_proxy().build()?, url: format!("http://{}", server.address()) };
        tokio::spawn(server.run_until(std::future::pending()));

        for name in ["alice", "bob"] {
            let user = json!({ "username": name, "password": "secret", "public_key": "", "private_key": "" });
            assert_eq!(scene.ask("", "POST", "/users", &user).await.status(), 201);
        }
        let mut sent = Vec::new();
        for outage in 0..2 {
            for count in 0..20 {
                let contents = format!("{outage}/{count}");
                assert_eq!(scene.send(&contents).await.status(), 201);
                sent.push(contents);
            }
            bridge.open.send(false)?;
            let refused = scene.send("lost and told so").await;
            assert_eq!(refused.status(), 503);
            assert!(refused.headers().contains_key("retry-after"));
            assert!(!scene.is_ready().await);

            bridge.open.send(true)?;
            let start = Instant::now();
            while !scene.is_ready().await {
                assert!(start.elapsed() < Duration::from_secs(30), "it does not recover");
            }
            // From the moment that it says so, it is.
            assert_eq!(scene.send("back").await.status(), 201);
            sent.push("back".to_owned());
        }
        let page: Value = scene.ask("bob", "GET", "/messages", &Value::Null).await.json().await?;
        let received = page["messages"].as_array().unwrap().iter().map(|message| message["contents"].as_str().unwrap());
        assert_eq!(received.collect::<Vec<_>>(), sent);
        Ok(())
    })
}
