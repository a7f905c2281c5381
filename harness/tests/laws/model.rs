//! What a mailbox has to be, in the simplest words.

use woosh_domain::model::{MessageId, Quota};

/// Small enough to be full now and then.
pub(crate) const QUOTA: Quota = Quota { messages: 6, bytes: 40 };
pub(crate) const START: i64 = 1_700_000_000;

/// What a mailbox has to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) sent: Vec<Sent>,
    pub(crate) acknowledged: i64,
    pub(crate) not_before: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: MessageId,
    pub(crate) text: String,
    pub(crate) sent_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Pending,
    Refused,
    Reaped,
}

impl Model {
    pub(crate) fn newest(&self) -> i64 {
        self.sent.len() as i64
    }

    /// What takes room, with its numbers.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (i64, &Sent)> {
        let numbered = (1..).zip(&self.sent).skip(self.acknowledged as usize);
        numbered.filter(|(_, sent)| sent.fate == Fate::Pending)
    }

    pub(crate) fn has_room(&self, size: usize) -> bool {
        let bytes: usize = self.pending().map(|(_, sent)| sent.text.len()).sum();
        (self.pending().count() as u64) < QUOTA.messages && (bytes + size) as u64 <= QUOTA.bytes
    }

    /// The page that a read has to give: what is there, what is not, and whether there is more.
    pub(crate) fn page(
        &self,
        after: i64,
        count: usize,
        bytes: usize,
        now: i64,
    ) -> (Vec<(i64, MessageId, String)>, Vec<i64>, bool) {
        let live: Vec<_> = self.pending().filter(|(n, sent)| *n > after && sent.expires_at > now).collect();
        let mut total = 0;
        let taken = live.iter().enumerate().take_while(|(place, (_, sent))| {
            total += sent.text.len();
            *place < count && (*place == 0 || total <= bytes)
        });
        let taken = taken.count();
        let has_more = taken < live.len();
        let there: Vec<_> = live[..taken].iter().map(|(number, sent)| (*number, sent.id, sent.text.clone())).collect();
        let up_to = there.last().filter(|_| has_more).map_or(self.newest(), |(number, ..)| *number);
        let missing = after.max(self.acknowledged) + 1..=up_to;
        (there.clone(), missing.filter(|number| there.iter().all(|(n, ..)| n != number)).collect(), has_more)
    }
}
