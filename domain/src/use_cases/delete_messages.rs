use std::sync::Arc;

use super::Caller;
use super::sweep::BATCH;
use crate::model::Timestamp;
use crate::ports::{Mailboxes, PortError};

/// Deletes what was polled; the second half of the classic API's way to read.
pub struct DeleteMessages {
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteMessages {
    /// Works on this port.
    pub fn new(mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { mailboxes }
    }

    /// Deletes the caller's messages from before a Unix second, and gives how many that were. With the `query_time` of
    /// a [`Poll`](super::Poll) these are messages of that poll, and no others.
    ///
    /// # Errors
    ///
    /// Where the port fails. Some may be deleted by then: the oldest.
    pub async fn execute(&self, caller: &Caller, until_seconds: i64) -> Result<u64, PortError> {
        let until = Timestamp::from_seconds(until_seconds);
        let mut deleted = 0;
        loop {
            let batch = self.mailboxes.acknowledge_before(caller.device, until, BATCH).await?;
            deleted += batch;
            if batch < BATCH as u64 {
                return Ok(deleted);
            }
        }
    }
}
