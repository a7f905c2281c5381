//! The workloads, one file each. Each runs on a server of its own, and checks every response and every message.

pub(super) mod fan_out;
pub(super) mod growth;
pub(super) mod hot;
pub(super) mod mixed;
pub(super) mod receive;
pub(super) mod roundtrip;
pub(super) mod send;
pub(super) mod sending;
pub(super) mod users;
pub(super) mod waiters;
