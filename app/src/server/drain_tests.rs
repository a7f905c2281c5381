use super::*;
use futures_util::{FutureExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;

fn body(size: usize) -> DrainedBody {
    DrainedBody::new(Full::new(Bytes::from(vec![b'x'; size])).map_err(|error: Infallible| match error {}).boxed())
}

/// Reads a body of `size` bytes in pieces, and drops each piece after a delay, as if a client had read the piece then.
/// Returns the number of bytes.
async fn read(size: usize, delay: Duration) -> usize {
    let (mut body, mut read) = (body(size), 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= PIECE);
        sleep(delay).await;
        read += piece.len();
    }
    read
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_fast_enough_gets_the_whole_body() {
    let seconds = Duration::from_secs((PIECE / MIN_RATE) as u64 - 1);
    assert_eq!(drained(read(50 * PIECE + 1, seconds)).await, Some(50 * PIECE + 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_too_slowly_is_ended() {
    let seconds = Duration::from_secs((PIECE / MIN_RATE) as u64 + 10);
    assert_eq!(drained(read(50 * PIECE, seconds)).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_ended_within_the_window_even_after_a_fast_start() {
    let start = Instant::now();
    let stops = async {
        let mut body = body(50 * PIECE);
        for _ in 0..40 {
            body.frame().await.unwrap().unwrap();
        }
        std::future::pending::<()>().await;
    };
    assert_eq!(drained(stops).await, None);
    assert!(start.elapsed() <= 2 * WINDOW + CHECK_INTERVAL, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_ends_only_after_its_last_piece_is_written() {
    let start = Instant::now();
    let stops = async {
        let mut body = body(10);
        let _unwritten = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!body.is_end_stream());
        assert!(body.frame().await.is_none());
    };
    assert_eq!(drained(stops).await, None);
    assert!(start.elapsed() >= WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_ends_after_it_is_written() {
    let streams = async {
        let chunks = stream::unfold(0, |count| async move {
            (count < 3).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"x")), count + 1))
        });
        let mut body = DrainedBody::new(poem::Body::from_bytes_stream(chunks).into());
        let mut unwritten = Vec::new();
        for _ in 0..3 {
            unwritten.push(body.frame().await.unwrap().unwrap());
        }
        assert!(body.frame().now_or_never().is_none());
        assert!(body.frame().now_or_never().is_none());
        drop(unwritten);
        assert!(body.frame().await.is_none());
    };
    assert_eq!(drained(streams).await, Some(()));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_response_is_not_slow() {
    let later = async {
        sleep(10 * WINDOW).await;
        read(10, Duration::ZERO).await
    };
    assert_eq!(drained(later).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_body_does_not_count() {
    let abandons = async {
        let mut abandoned = body(3 * PIECE);
        drop(abandoned.frame().await);
        drop(abandoned);
        sleep(10 * WINDOW).await;
    };
    assert_eq!(drained(abandons).await, Some(()));
}
