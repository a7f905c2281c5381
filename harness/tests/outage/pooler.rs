//! A pooler between a server and Postgres. It pools transactions: a client has a connection to the database only while
//! the client is in a transaction.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use woosh_harness::TestDatabase;
use woosh_harness::postgres::wire::{Stream, dial, read_startup, without_options};
use woosh_server::database::DatabaseUrl;

/// The connections to the database that no client uses now. A client gets the one among them that was used last.
type Idle = Arc<Mutex<Vec<Box<dyn Stream>>>>;

/// Starts a pooler. Returns the URL for connecting to the database through the pooler.
pub(crate) async fn start(database: &TestDatabase) -> DatabaseUrl {
    let options = Arc::new(database.postgres_options().unwrap());
    let name = options.get_database().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let idle = Idle::default();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, options.clone(), idle.clone()));
        }
    });
    let url = format!("postgres://woosh@127.0.0.1:{port}/{name}?sslmode=disable");
    url.parse::<DatabaseUrl>().unwrap().allow_fsync_off()
}

async fn serve(mut client: TcpStream, options: Arc<PgConnectOptions>, idle: Idle) -> Option<()> {
    let startup = without_options(&read_startup(&mut client).await.ok()?);
    let (server, greeting) = open(&options, &startup).await?;
    idle.lock().await.push(server);
    client.write_all(&greeting).await.ok()?;
    loop {
        let mut requests = message(&mut client).await?;
        let last = idle.lock().await.pop();
        let mut server = match last {
            Some(server) => server,
            None => open(&options, &startup).await?.0,
        };
        loop {
            server.write_all(&requests).await.ok()?;
            // The database answers after a Sync or a simple query, and not before.
            if matches!(requests[0], b'S' | b'Q') && !answer(&mut server, &mut client).await? {
                break;
            }
            requests = message(&mut client).await?;
        }
        idle.lock().await.push(server);
    }
}

/// Forwards the answer of the database to the client. Returns whether the client is in a transaction after this answer.
async fn answer(server: &mut Box<dyn Stream>, client: &mut TcpStream) -> Option<bool> {
    loop {
        let response = message(server).await?;
        client.write_all(&response).await.ok()?;
        if response[0] == b'Z' {
            return Some(response[5] != b'I');
        }
    }
}

/// Opens a connection to the database. Returns the connection, and all bytes that the database sends until it is ready
/// for a query.
async fn open(options: &PgConnectOptions, startup: &[u8]) -> Option<(Box<dyn Stream>, Vec<u8>)> {
    let mut server = dial(options).await.ok()?;
    server.write_all(startup).await.ok()?;
    let mut greeting = Vec::new();
    loop {
        let response = message(&mut server).await?;
        greeting.extend(&response);
        if response[0] == b'Z' {
            return Some((server, greeting));
        }
    }
}

/// Reads one message of the Postgres protocol. Returns its bytes: the type, the length and the contents.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut message = vec![0; 5];
    stream.read_exact(&mut message).await.ok()?;
    let length = u32::from_be_bytes(message[1..].try_into().unwrap());
    message.resize(length as usize + 1, 0);
    stream.read_exact(&mut message[5..]).await.ok()?;
    Some(message)
}
