//! Stores batches of sends.
//!
//! Each statement costs a round trip to the database, so a batch is usually stored by one statement. The plan of the
//! batch uses the state of the recipients that this server remembers from the last send to them. Only the state of
//! other recipients is loaded. The plan also assumes that the sessions of the senders are open.
//!
//! The statement stores nothing if the remembered state is outdated or a session has ended. In that case, the batch is
//! stored in a transaction that first locks and loads the current state. The same happens if the plan would not store
//! each send in all mailboxes of its recipients, for example because a mailbox is full in the remembered state: in the
//! current state, it may have room.

mod known;
mod load;
mod write;

use std::collections::{HashMap, VecDeque};

use woosh_domain::model::DeviceId;
use woosh_domain::planner::{BatchState, MailboxState, Plan, PlannedSend, plan};
use woosh_domain::ports::{DeliverOutcome, NewDelivery};

use self::known::KnownRecipients;
use self::write::Counters;
use crate::pool::Pool;
use crate::store::{SqlError, sessions};

/// Stores the batches of one lane (a queue of sends). Keeps the state of recipients, and unused message identifiers,
/// for the next batch.
#[derive(Default)]
pub(super) struct Deliverer {
    /// Reserved identifiers of messages.
    ids: VecDeque<i64>,
    known: KnownRecipients,
}

impl Deliverer {
    /// Stores a batch without locks. Returns `None`, and stores nothing, if the plan of the batch is outdated, or if
    /// the plan does not store each send in all mailboxes of its recipients. The batch then has to be stored with
    /// [`Self::deliver_locked`].
    pub(super) async fn deliver(
        &mut self,
        pool: &Pool,
        sends: &[&NewDelivery],
    ) -> Result<Option<Vec<PlannedSend>>, SqlError> {
        let mut connection = pool.acquire().await?;
        load::reserve_ids(&mut connection, &mut self.ids, sends).await?;
        let (mut state, unknown) = self.known.take(sends);
        if !unknown.is_empty() {
            load::mailboxes(&mut connection, &unknown, &mut state).await?;
        }
        // Receipts and sessions are not loaded: the statement stores nothing if a key is stored already or a session
        // has ended.
        state.sessions = sessions(sends);
        let before = mailboxes(&state);
        let plan = self.plan(sends, state);
        if !is_plain(&plan) {
            return Ok(None);
        }
        let written = write::write(&mut connection, sends, &plan, &before).await?;
        connection.finish();
        Ok(written.map(|counters| self.remember(plan, &counters)))
    }

    /// Stores a batch in a transaction that locks the idempotency keys of the sends and the mailboxes of the
    /// recipients. Some other transactions don't take these locks: they can store one of the keys, add a device of a
    /// recipient, or end a session of a sender. If one of them does so before the batch is stored, returns `None` and
    /// stores nothing.
    pub(super) async fn deliver_locked(
        &mut self,
        pool: &Pool,
        sends: &[&NewDelivery],
    ) -> Result<Option<Vec<PlannedSend>>, SqlError> {
        self.known.forget(sends);
        let mut transaction = pool.begin().await?;
        load::reserve_ids(&mut transaction, &mut self.ids, sends).await?;
        let state = load::lock_all(&mut transaction, sends).await?;
        let before = mailboxes(&state);
        let plan = self.plan(sends, state);
        let Some(counters) = write::write(&mut transaction, sends, &plan, &before).await? else { return Ok(None) };
        transaction.commit().await?;
        Ok(Some(self.remember(plan, &counters)))
    }

    fn plan<'a>(&mut self, sends: &[&'a NewDelivery], state: BatchState) -> Plan<'a> {
        plan(sends.iter().copied(), state, std::iter::from_fn(|| self.ids.pop_front()))
    }

    /// Remembers the recipients of a batch that was stored, so that the next batch need not load them. Returns the
    /// outcomes of the sends of the stored batch.
    fn remember(&mut self, mut plan: Plan<'_>, counters: &Counters) -> Vec<PlannedSend> {
        for copy in plan.sends.iter_mut().flat_map(|send| &mut send.copies) {
            if let Some(counters) = counters.get(&copy.mailbox) {
                copy.acknowledged = counters.acknowledged;
            }
        }
        self.known.put(plan.recipients, counters);
        plan.sends
    }
}

/// Copies the mailboxes of all recipients, by device. The planner changes the mailboxes in `state`, and the copies keep
/// the values from before.
fn mailboxes(state: &BatchState) -> HashMap<DeviceId, MailboxState> {
    let mailboxes = state.recipients.values().flat_map(|recipient| &recipient.mailboxes);
    mailboxes.map(|mailbox| (mailbox.device, *mailbox)).collect()
}

/// Returns whether the plan stores every send in all mailboxes of its recipients. If it does not, the remembered state
/// of the recipients may be outdated.
fn is_plain(plan: &Plan<'_>) -> bool {
    plan.changes.gaps.is_empty() && plan.sends.iter().all(|send| matches!(send.outcome, DeliverOutcome::Stored { .. }))
}
