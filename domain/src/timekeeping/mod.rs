//! Decides what time it is, although the clock that shows the time may be wrong.
//!
//! The *reference* is the clock that stamps follow: the clock of the database if several replicas share it, otherwise the
//! wall clock of this machine. Any such clock can leap: it is set by hand, by a broken time server, or after a suspension.
//! If expiry followed a leap, messages would be lost unread (D2). So the server counts time with the monotonic clock,
//! compares the result with the reference periodically, and follows the reference only as long as it does not leap.
//!
//! - [`Timekeeper`]: the decisions. Pure code.
//! - [`SteadyClock`]: the [`Clock`](crate::ports::Clock) that reads the time from a timekeeper.
//! - [`KeepTime`](crate::use_cases::KeepTime): the use case that compares the clocks.
//!
//! # While the time is in doubt
//!
//! The time is in doubt after a leap, and after a start at which the reference is behind the time at which a server last
//! trusted it, or ahead of that by more than [`MAX_DOWNTIME`]. Until the reference is plausible again, or has not leapt
//! for [`CONFIRMATION`]:
//!
//! - nothing more expires, and no idempotency key is forgotten;
//! - stamps follow the reference only if it is ahead, and then by at most [`MAX_STAMP_LEAD`]. Otherwise they follow the
//!   time as it would be without the leap;
//! - a message lives longer by the time that its stamp may be too early, so that it does not expire early when the
//!   reference turns out to be right.
//!
//! Idempotency keys have stamps too, which may be too early. So no key is forgotten for another day afterwards.
//!
//! # Watermarks that are ahead
//!
//! If a clock was wrong for so long that it was trusted, mailboxes keep watermarks that are ahead of the corrected time,
//! because `sent_at` never decreases. Later messages get the `sent_at` of the watermark, which stays where it is until
//! the time has caught up; a poll of the classic API raises it by less than the time that passes. A message expires as if
//! its `sent_at` were ahead by at most [`MAX_STAMP_LEAD`].

mod steady_clock;
#[cfg(test)]
mod tests;
mod timekeeper;

pub use self::steady_clock::SteadyClock;
pub use self::timekeeper::{CONFIRMATION, ClockChange, MAX_DOWNTIME, MAX_STAMP_LEAD, Sample, TOLERANCE, Timekeeper};
