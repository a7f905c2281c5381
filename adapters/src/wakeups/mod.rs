//! Wake-ups: whoever waits for something to come into a mailbox is told when it has.
//!
//! They are hints. What has come is in the database, and who was woken looks there. Between replicas they go by way of
//! Postgres ([`postgres`]).

mod bells;
pub(crate) mod postgres;

use std::time::Duration;

use tokio::sync::mpsc;
use woosh_domain::model::DeviceId;
use woosh_domain::ports::{self, Subscription};

use self::bells::Bells;

/// Tells waiting readers of this process, and through [`postgres`] those of other replicas.
#[derive(Clone, Default)]
pub(crate) struct Wakeups {
    bells: Bells,
    others: Option<mpsc::Sender<i64>>,
}

impl Wakeups {
    /// Tells who waits on these mailboxes that something has come into them, or that a session there has ended.
    pub(crate) fn wake(&self, mailboxes: &[i64]) {
        for mailbox in mailboxes {
            self.bells.ring(DeviceId::new(*mailbox));
            if let Some(others) = &self.others {
                // Where so many wait to be told of, the next round of looking finds this one as well.
                let _ = others.try_send(*mailbox);
            }
        }
    }

    /// Ends all waiting, now and from now on.
    pub(crate) fn close(&self) {
        self.bells.close();
    }
}

impl ports::Wakeups for Wakeups {
    fn subscribe(&self, mailbox: DeviceId, patience: Duration) -> Box<dyn Subscription> {
        Box::new(self.bells.listen(mailbox, patience))
    }
}
