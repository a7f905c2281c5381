//! Decides what time it is, although the clock that shows the time may be wrong.
//!
//! The *reference* is the clock that determines the *stamps* of messages, their `sent_at`. It is the clock of the
//! database if several replicas share the database, otherwise the wall clock of this machine. Either clock can *leap*:
//! an operator sets it, a broken time server sets it, or it is set after the machine was suspended. If expiry followed
//! a leap, messages would be lost unread (D2). Therefore the server counts time with the monotonic clock, which never
//! leaps. It periodically compares this *counted time* with the reference, and follows the reference only while the
//! reference does not leap. As long as the time is not in doubt (see below), the server also stores the time
//! periodically, as the *trusted time*.
//!
//! - [`Timekeeper`]: makes the decisions. Pure code.
//! - [`SteadyClock`]: the [`Clock`](crate::ports::Clock) that reads the time from a timekeeper.
//! - [`KeepTime`](crate::use_cases::KeepTime): the use case that compares the clocks.
//!
//! # While the time is in doubt
//!
//! The time is in doubt after the reference has leapt. When a server starts, the time is also in doubt if the reference
//! is behind the last trusted time in the store, or more than [`MAX_DOWNTIME`] ahead of it. Until the reference agrees
//! with the counted time again, or has not leapt for [`CONFIRMATION`]:
//!
//! - no further message expires;
//! - stamps follow the reference if it is ahead of the counted time, but are at most [`MAX_STAMP_LEAD`] ahead of the
//!   counted time. If the reference is behind, stamps follow the counted time;
//! - if the stamp of a message may be too early by some time, the message expires later by the same time. So the
//!   message does not expire early if the reference turns out to be right. If the reference is behind the last trusted
//!   time when the server starts, nothing tells how long the server was down, and therefore how early the stamps are:
//!   messages then expire a day later.
//!
//! A server that starts can't notice that the reference is behind if the reference shows a later time than the last
//! trusted time. The messages that the server stamps before the reference is corrected then expire early.
//!
//! Wrong clocks do not affect how long idempotency keys are remembered:
//! [`ForgetKeys`](crate::use_cases::ForgetKeys) decides this without the time of day.
//!
//! # Watermarks that are ahead
//!
//! If a clock is wrong for long enough, the server trusts it. When the clock is corrected, mailboxes keep watermarks
//! that are ahead of the corrected time, because a watermark never decreases. A later message gets the watermark of its
//! mailbox as its `sent_at`, until the time has caught up with the watermark. A message whose `sent_at` is more than
//! [`MAX_STAMP_LEAD`] ahead of the time at which it is stored expires as if it were only [`MAX_STAMP_LEAD`] ahead.
//!
//! A poll of the classic API (the deprecated predecessor of v1) raises the watermark, even if the watermark is ahead.
//! But polls raise the watermark more slowly than the time advances, so that the time catches up with the watermark.

mod steady_clock;
#[cfg(test)]
mod tests;
mod timekeeper;

pub use self::steady_clock::SteadyClock;
pub use self::timekeeper::{CONFIRMATION, ClockChange, MAX_DOWNTIME, MAX_STAMP_LEAD, Sample, TOLERANCE, Timekeeper};
