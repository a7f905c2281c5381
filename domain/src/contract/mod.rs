//! The delivery contract, and the tests that verify each promise.
//!
//! The promises D1 to D10 hold on every backend, with many concurrent clients, with several replicas on one Postgres
//! database, and across `kill -9` at any moment. Comments refer to a promise by its number.
//!
//! `domain/tests/simulation/` checks all promises under faults, and `harness/tests/kill.rs` under kills.
//!
//! The lists below name the tests of each promise: cases of this module, as `module::case`, and test files, by their
//! path from the root of the repository. `domain/tests/contract.rs` fails if a listed test does not exist.
//!
//! ## D1 Durable
//!
//! A 201 response to a send means that the message survives a crash of the server and of the machine.
//!
//! - `harness/tests/kill.rs`, with `harness/src/load/ledger.rs`, which records the accepted and the received messages
//! - `app/tests/run.rs`, `harness/tests/outage/`
//! - `adapters/src/sqlite/store.rs` for the database settings that sync each commit to disk
//!
//! ## D2 No loss
//!
//! An envelope leaves its mailbox only because its device acknowledged it, because it expired, or because its device or
//! user was deleted. Reading never deletes.
//!
//! - `mailbox::reading_changes_nothing`, `mailbox::acknowledging_before_a_time_deletes_exactly_the_older_envelopes`
//! - `acknowledge::exactly_the_acknowledged_envelopes_are_deleted`,
//!   `acknowledge::the_limit_applies_to_the_oldest_envelopes`
//! - `fan_out::a_message_is_kept_until_its_last_device_acknowledges_it`
//! - `fan_out::concurrent_acknowledgements_lose_no_delivery`
//! - `expiry::expired_envelopes_are_deleted_in_batches`
//! - `domain/src/timekeeping/`, `harness/tests/clock/`, for clocks that leap
//! - `devices::deleting_a_device_deletes_its_mailbox_and_sessions`
//! - `users::a_deleted_user_leaves_nothing_and_its_name_stays_reserved`
//! - `harness/tests/kill.rs`, `harness/tests/laws/`, `harness/tests/order.rs`, `harness/tests/outage/`
//! - `harness/tests/upgrade.rs` for databases of an older version
//! - `harness/src/sanity/v1/mailbox.rs`, `harness/src/sanity/v1/deletion.rs`
//! - `domain/tests/poll_and_delete.rs`, `harness/src/sanity/classic/backlog.rs` for the classic API
//!
//! ## D3 Order
//!
//! The sequence numbers of a mailbox are gapless and follow commit order: once a reader has seen *n*, no envelope at or
//! below *n* can still appear.
//!
//! An identity column of the database would break this promise: transaction A takes number 1 and stalls, transaction B
//! commits number 2, and a reader acknowledges 2. When A commits, envelope 1 is already acknowledged, so it is lost
//! unread. Therefore the sending transaction takes a number by updating the row of the mailbox, which stays locked
//! until the commit. A transaction locks several mailboxes in one fixed order.
//!
//! The promise holds within one incarnation of a mailbox. After a restore from a backup, numbers that readers have seen
//! are assigned again. The mailbox then has another incarnation. It refuses each cursor that is beyond its last number
//! or of another incarnation, so that no reader skips a message, and none deletes a message that it has not read.
//!
//! - `deliver::sequence_numbers_are_gapless`, `deliver::no_envelope_appears_below_one_already_read`
//! - `deliver::concurrent_deliveries_to_many_mailboxes_all_arrive`
//! - `deliver::sent_at_never_decreases_even_if_the_clock_does`, `mailbox::nothing_is_added_before_the_watermark`
//! - `mailbox::numbering_continues_after_everything_is_acknowledged`
//! - `incarnation::no_page_is_behind_a_number_that_a_reader_has_received`
//! - `incarnation::a_mailbox_has_the_incarnation_that_it_was_created_with`
//! - `incarnation::renewing_in_steps_changes_every_incarnation_and_nothing_else`
//! - `domain/src/model/cursor.rs`, `domain/src/use_cases/read_mailbox.rs`, `harness/tests/restore.rs`
//! - `harness/src/sanity/v1/cursor.rs`
//! - `harness/tests/order.rs`, `harness/tests/kill.rs`, `harness/tests/laws/`
//! - `harness/src/sanity/v1/mailbox.rs`, `harness/src/sanity/v1/stream.rs`
//!
//! ## D4 Idempotent send
//!
//! The same `Idempotency-Key` from the same device returns the same response and stores one message, even if both
//! requests are in flight or the first response was lost. Another body under that key is refused with 422. The key is
//! written in the sending transaction. Only success is remembered: a send that fails does not use up its key. The
//! server remembers a key for at least a day, whatever any clock shows. The proof is in
//! `domain/src/use_cases/forget_keys.rs`.
//!
//! - `idempotency::a_repeated_send_is_stored_once`, `idempotency::concurrent_sends_under_one_key_are_stored_once`
//! - `idempotency::another_send_under_a_used_key_is_refused`, `idempotency::a_key_is_scoped_to_its_device`
//! - `idempotency::a_send_that_is_not_stored_does_not_use_its_key`
//! - `idempotency::every_repetition_reports_the_same_undelivered_devices`
//! - `harness/tests/kill.rs`, `harness/tests/quota.rs`, `harness/src/sanity/v1/idempotency.rs`
//! - `idempotency::a_generation_of_keys_ends_once`, `idempotency::old_keys_are_deleted_in_batches`
//! - `harness/tests/clock/` for keys that are used while a clock leaps
//!
//! ## D5 Idempotent acknowledge
//!
//! Repeating an acknowledgement, or acknowledging less, changes nothing. Acknowledging beyond the last assigned
//! sequence number, or in another incarnation, is an error.
//!
//! - `acknowledge::acknowledging_the_same_or_less_changes_nothing`
//! - `acknowledge::acknowledging_beyond_the_last_number_is_refused`
//! - `incarnation::acknowledging_in_another_incarnation_is_refused_and_changes_nothing`
//! - `acknowledge::concurrent_acknowledgements_never_move_backwards`
//! - `mailbox::acknowledging_before_a_time_again_deletes_nothing`
//! - `harness/tests/order.rs`, `harness/tests/kill.rs`, `harness/tests/laws/`, `harness/src/sanity/v1/acknowledge.rs`
//!
//! ## D6 Atomic fan-out
//!
//! A send to several recipients or devices is stored for all of them or for none.
//!
//! - `fan_out::every_device_of_every_recipient_receives_the_message`
//! - `fan_out::concurrent_fan_outs_in_any_order_arrive_completely`, `fan_out::concurrent_writes_of_every_kind_complete`
//! - `deliver::a_send_with_an_unknown_recipient_stores_nothing`,
//!   `devices::concurrent_deliveries_and_deletions_complete`
//! - `harness/tests/kill.rs`, `harness/src/sanity/v1/send.rs`
//!
//! ## D7 Visible loss
//!
//! An envelope that expired unread, or that was not stored because the mailbox was full, is a gap in the sequence.
//! Every page reports the gap until the gap is acknowledged. The response to a send names the devices whose mailbox was
//! full.
//!
//! - `expiry::an_expired_envelope_is_a_gap_before_and_after_its_deletion`
//! - `expiry::an_envelope_acknowledged_by_one_device_can_expire_for_another`
//! - `gaps::a_page_ends_before_a_gap_that_is_too_many`
//! - `quota::a_full_mailbox_stores_gaps_instead_of_envelopes`, `quota::a_full_mailbox_does_not_block_others`
//! - `domain/src/model/gap.rs`, `harness/tests/quota.rs`, `harness/tests/laws/`
//! - `harness/src/sanity/v1/expiry.rs`, `app/tests/v1.rs`
//!
//! ## D8 Prompt
//!
//! A waiting reader, on whichever replica, receives a message within tens of milliseconds of its commit. A notification
//! is only a hint: a lost notification delays a message, but never loses the message.
//!
//! - `notifier::a_delivery_notifies_waiting_readers`, `notifier::a_delivery_between_subscribing_and_waiting_notifies`
//! - `notifier::a_delivery_whose_caller_hangs_up_notifies`
//! - `notifier::the_end_of_a_session_notifies_waiting_readers`, `notifier::a_wait_times_out`
//! - `notifier::envelopes_handed_over_are_those_that_a_read_returns`, `adapters/src/notify/recent.rs`
//! - `harness/tests/notify.rs`, `adapters/src/notify/waiters.rs`, `domain/src/use_cases/read_mailbox.rs`
//! - `harness/tests/graceful.rs` for readers that wait on a stopping server
//! - `harness/src/sanity/v1/waiting.rs`, `harness/src/sanity/v1/stream.rs`
//!
//! ## D9 Isolation
//!
//! No client can read, acknowledge or count the mailbox of another device, and errors do not reveal whether the
//! username or the password was wrong.
//!
//! - `deliver::a_mailbox_has_only_its_own_messages`, `acknowledge::acknowledging_leaves_other_mailboxes_unchanged`
//! - `stream_tickets::a_ticket_is_taken_once_and_leads_to_its_session`,
//!   `stream_tickets::a_ticket_ends_with_its_session`
//! - `mailbox::acknowledging_before_a_time_leaves_other_mailboxes_unchanged`
//! - `sessions::a_login_reuses_only_a_device_of_its_own_user`, `sessions::an_ended_session_is_not_found`
//! - `devices::the_last_device_and_devices_of_others_are_not_deleted`
//! - `harness/src/sanity/v1/isolation.rs`, `harness/src/sanity/v1/sessions.rs`
//! - `harness/src/sanity/classic/tenancy.rs`, `harness/src/sanity/classic/authentication.rs`
//! - `domain/src/use_cases/authenticate.rs`, `adapters/src/password/argon2id.rs` for the duration of a login with a
//!   wrong username
//!
//! ## D10 Agnostic
//!
//! Contents are returned byte for byte as they were sent: any text, up to the limit.
//!
//! - `deliver::contents_are_returned_byte_for_byte`, `users::opaque_texts_are_returned_byte_for_byte`
//! - `domain/src/model/opaque.rs`
//! - `harness/src/sanity/v1/send.rs`, `harness/src/sanity/classic/send.rs`
//!
//! # Running the cases
//!
//! A [`Case`] receives fresh, empty [`Stores`], calls only the methods of their traits, and panics if the stores break
//! the contract of these methods. [`cases`] returns all cases, so that no implementation can leave one out:
//!
//! ```
//! # use woosh_domain::{contract, fakes::MemoryStore};
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! for case in contract::cases() {
//!     runtime.block_on(case.run(MemoryStore::stores()));
//! }
//! ```
//!
//! `domain/tests/contract.rs` runs the cases in memory. `harness/tests/contract/main.rs` runs them on SQLite and
//! Postgres.

mod acknowledge;
mod cases;
mod deliver;
mod devices;
mod expiry;
mod fan_out;
mod fixtures;
mod gaps;
mod idempotency;
mod incarnation;
mod mailbox;
mod model;
mod notifier;
mod quota;
mod sessions;
mod stream_tickets;
mod time;
mod users;

use futures_util::future::BoxFuture;

pub use self::cases::cases;
pub use self::model::{EnvelopeState, MailboxModel, ModelEnvelope};
use crate::ports::Stores;

/// A test case of the delivery contract.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name of the case. It states the tested behaviour, as `module::statement_in_snake_case`.
    pub name: &'static str,
    check: fn(Stores) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Runs the test case on fresh, empty stores.
    ///
    /// # Panics
    ///
    /// If the stores break the contract.
    pub fn run(&self, stores: Stores) -> BoxFuture<'static, ()> {
        (self.check)(stores)
    }
}
