use super::*;
use futures_util::{FutureExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use tokio::time::timeout;

/// Maximum size of the pieces in which a response body is written, in bytes. These tests state sizes and times as
/// numbers, so that they notice a change of a constant.
const LARGEST_PIECE: usize = 32 * 1024;
/// A test fails if its future has not completed after this time. The test does not really wait: its clock is paused.
const HOUR: Duration = Duration::from_secs(3600);

fn body(size: usize) -> DrainedBody {
    DrainedBody::new(Full::new(Bytes::from(vec![b'x'; size])).map_err(|error: Infallible| match error {}).boxed())
}

/// Reads a body of `size` bytes in pieces, and drops each piece after a delay, as if a client had read the piece then.
/// Returns the number of bytes.
async fn read(size: usize, delay: Duration) -> usize {
    let (mut body, mut read) = (body(size), 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= LARGEST_PIECE);
        sleep(delay).await;
        read += piece.len();
    }
    read
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_fast_enough_gets_the_whole_body() {
    // 4,681 bytes per second.
    let size = 50 * LARGEST_PIECE + 1;
    assert_eq!(drained(read(size, Duration::from_secs(7))).await, Some(size));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_too_slowly_is_ended() {
    // 1,820 bytes per second.
    assert_eq!(drained(read(50 * LARGEST_PIECE, Duration::from_secs(18))).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_ended_within_25_seconds() {
    for early in 0..5 {
        let start = Instant::now();
        let stops = async {
            sleep(Duration::from_secs(early)).await;
            let mut body = body(LARGEST_PIECE);
            let _unwritten = body.frame().await.unwrap().unwrap();
            std::future::pending::<()>().await;
        };
        assert_eq!(timeout(HOUR, drained(stops)).await, Ok(None));
        let took = start.elapsed() - Duration::from_secs(early);
        assert!((20..=25).contains(&took.as_secs()), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_after_a_fast_start_is_ended_within_45_seconds() {
    let start = Instant::now();
    let stops = async {
        let mut body = body(50 * LARGEST_PIECE);
        for _ in 0..40 {
            body.frame().await.unwrap().unwrap();
        }
        std::future::pending::<()>().await;
    };
    assert_eq!(timeout(HOUR, drained(stops)).await, Ok(None));
    assert!((40..=45).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
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
    assert_eq!(timeout(HOUR, drained(stops)).await, Ok(None));
    assert!(start.elapsed().as_secs() >= 20);
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
        sleep(Duration::from_secs(200)).await;
        read(10, Duration::ZERO).await
    };
    assert_eq!(drained(later).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_body_does_not_count() {
    let abandons = async {
        let mut abandoned = body(3 * LARGEST_PIECE);
        drop(abandoned.frame().await);
        drop(abandoned);
        sleep(Duration::from_secs(200)).await;
    };
    assert_eq!(drained(abandons).await, Some(()));
}
