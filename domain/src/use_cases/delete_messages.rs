use std::sync::Arc;

use super::Caller;
use crate::model::Timestamp;
use crate::ports::{Mailboxes, PortError};

/// Deletes what was polled; the second half of the classic API's way to read.
pub struct DeleteMessages {
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteMessages {
    /// The most that one step deletes, so that whoever deletes a great many holds up others for moments only.
    pub const BATCH: usize = 1000;

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
            let batch = self.mailboxes.acknowledge_before(caller.device, until, Self::BATCH).await?;
            deleted += batch;
            if batch < Self::BATCH as u64 {
                return Ok(deleted);
            }
        }
    }
}
