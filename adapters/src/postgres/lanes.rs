//! Queues whose items are processed in batches.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use tokio::sync::mpsc;
use woosh_domain::ports::PortError;

use crate::store::closed;

/// Maximum number of items queued in a lane. If the queue is full, callers wait until there is room for their item.
const MAX_QUEUED: usize = 1024;

/// A few queues, each with a task that processes its items. The tasks end when this value is dropped.
pub(super) struct Lanes<T>(Vec<mpsc::Sender<T>>);

impl<T: Send + 'static> Lanes<T> {
    /// Starts `count` lanes. `run` processes the items of one lane until the queue of the lane is closed.
    pub(super) fn start<Task>(count: usize, run: impl Fn(mpsc::Receiver<T>) -> Task) -> Self
    where
        Task: Future<Output = ()> + Send + 'static,
    {
        let start = |_| {
            let (lane, queued) = mpsc::channel(MAX_QUEUED);
            tokio::spawn(run(queued));
            lane
        };
        Self((0..count).map(start).collect())
    }

    /// Returns whether the tasks of all lanes still take items.
    pub(super) fn is_running(&self) -> bool {
        self.0.iter().all(|lane| !lane.is_closed())
    }

    /// Queues an item in the lane that the hash of `key` selects. Items with equal keys use the same lane.
    pub(super) async fn send(&self, key: impl Hash, item: T) -> Result<(), PortError> {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        let lane = hash.finish() as usize % self.0.len();
        self.0[lane].send(item).await.map_err(|_| closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    #[tokio::test]
    async fn a_lane_that_is_full_makes_callers_wait() {
        let lanes = Lanes::start(1, |queued| async move {
            let _queued = queued;
            std::future::pending::<()>().await;
        });
        for item in 0..1024 {
            assert!(unconstrained(lanes.send((), item)).now_or_never().is_some(), "{item}");
        }
        assert!(unconstrained(lanes.send((), 1024)).now_or_never().is_none());
    }
}
