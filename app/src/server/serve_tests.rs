use super::*;
use poem::endpoint::make;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Size of a body in bytes: more than the operating system buffers for a connection.
const LARGE: usize = 64 * 1024 * 1024;

/// Starts a server. `/large` returns a large body, `/later` a small body after 7 seconds, and any other path a small
/// body at once.
async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = make(|request| async move {
        if request.uri().path() == "/later" {
            sleep(Duration::from_secs(7)).await;
        }
        let size = if request.uri().path() == "/large" { LARGE } else { 5 };
        Ok::<_, poem::Error>(Response::builder().body(vec![b'x'; size]))
    });
    let acceptor = ConnectionAcceptor::new(listener);
    tokio::spawn(serve(acceptor, address, endpoint, std::future::pending(), Duration::ZERO));
    address
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_read_is_closed() {
    let mut client = TcpStream::connect(start().await).await.unwrap();
    client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let start = Instant::now();
    // Then the client can read only what the operating system has buffered, and the connection ends.
    sleep(Duration::from_secs(60)).await;
    let mut received = Vec::new();
    let _ = client.read_to_end(&mut received).await;
    assert!(received.len() < LARGE, "{} bytes", received.len());
    assert!(start.elapsed() < Duration::from_secs(61));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_stalls_is_closed() {
    for part in ["GET /small HTTP/1.1\r\nhost", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut client = TcpStream::connect(start().await).await.unwrap();
        client.write_all(part.as_bytes()).await.unwrap();
        let start = Instant::now();
        let mut received = Vec::new();
        // Fails if the server never closes the connection.
        timeout(Duration::from_secs(3600), client.read_to_end(&mut received)).await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), 150, "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_is_reset_while_others_of_its_connection_go_on() {
    let address = start().await;
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| http::Request::get(format!("http://x{path}")).body(()).unwrap();
    let (large, _) = client.send_request(request("/large"), true).unwrap();
    let mut unread = large.await.unwrap().into_body();
    let start = Instant::now();
    // Reads the first flow-control window, and never releases it, so that the server can send no more.
    let error = loop {
        match unread.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the body is complete"),
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    drop(unread);
    let (small, _) = client.send_request(request("/small"), true).unwrap();
    let mut body = small.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "xxxxx");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_closed_its_side_is_answered() {
    for path in ["/small", "/later"] {
        let mut client = TcpStream::connect(start().await).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("xxxxx"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole_on_both_versions_of_http() {
    let address = start().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(received.len() - head, LARGE);
    assert!(String::from_utf8_lossy(&received[..head]).contains(&format!("content-length: {LARGE}\r\n")));

    let (mut client, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://x/large").body(()).unwrap();
    let mut body = client.send_request(request, true).unwrap().0.await.unwrap().into_body();
    let mut received = 0;
    while let Some(data) = body.data().await {
        received += data.as_ref().unwrap().len();
        body.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    assert_eq!(received, LARGE);
}
