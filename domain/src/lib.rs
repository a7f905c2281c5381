//! The domain of Woosh, a delivery server for end-to-end encrypted messaging.
//!
//! - [`model`]: types that cannot hold an invalid value.
//! - [`use_cases`]: the operations of the server, one file each.
//! - [`planner`]: works out what a batch of sends changes, for every store.
//! - [`timekeeping`]: decides what time it is, although clocks may be wrong.
//! - [`ports`]: the traits through which use cases reach a database, a clock, a password hasher and a source of
//!   randomness. The doc comment of each method states its contract.
//! - `contract` (feature `contract`): the delivery contract D1 to D10, and test cases for every implementation of the
//!   ports.
//! - `fakes` (feature `fakes`): in-memory implementations of the ports, for tests.
//!
//! This crate does no I/O and depends on no async runtime, database or web framework.
//!
//! # Glossary
//!
//! The short form of the glossary in `CONTRIBUTING.md`.
//!
//! | term | meaning |
//! |---|---|
//! | user, account | username, password hash, public key, and the vault |
//! | vault | private fields of a user (`private_key`, encrypted by the client, and `info`), opaque to the server |
//! | device | one installation of a client; a user has at least one |
//! | session, token | a login of one device, and its bearer token |
//! | stream ticket | a random token that opens one event stream in place of the bearer token, within 30 seconds |
//! | mailbox | the queue of one device |
//! | message | opaque contents from a user to a user |
//! | send | a request that sends a message to one or more users |
//! | envelope | one copy of a message in one mailbox |
//! | receipt | the confirmation of a stored send: identifier, `sent_at`, and the devices whose mailboxes were full |
//! | sequence number | an envelope's position in its mailbox: 1, 2, 3 … |
//! | cursor | the last sequence number that a reader has seen (`after`), and the incarnation in which it has seen it |
//! | incarnation | one numbering of a mailbox; a restore from a backup starts another |
//! | acknowledge | confirm that everything up to a sequence number is processed; the server then deletes it |
//! | gap | a range of sequence numbers whose envelopes expired unread, or were not stored: the mailbox was full |
//! | watermark (`not_before`) | a lower bound of `sent_at` for all later messages of a mailbox; it never decreases |
//! | notify, subscribe, wait | the means by which a long poll or a stream learns of new envelopes |
//! | batch, planner | sends that are committed in one transaction, and the code that works out what they change |
//! | reference, leap, doubt | the clock that `sent_at` follows; a jump of it; the state after a leap: nothing expires |
//! | sweep | the periodic deletion of expired envelopes, expired stream tickets and leftovers of deleted devices |
//! | generation | a period of at least an hour; the idempotency keys that are stored in it are forgotten together |
//! | backend, store | SQLite or Postgres, and the code that talks to it |
//! | instance, replica | one running server; several on one Postgres database |
//!
//! # Adding a use case
//!
//! 1. Add the method that the use case needs to one of the [`ports`], with MUST sentences in the doc comment and test
//!    cases in `contract`.
//! 2. Implement the method in `fakes`, then in the adapters.
//! 3. Write the use case with its own error enum and unit tests.

#![cfg_attr(test, expect(clippy::ref_option_ref, reason = "code that mockall generates"))]

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "fakes")]
pub mod fakes;
pub mod model;
pub mod planner;
pub mod ports;
pub mod timekeeping;
pub mod use_cases;
