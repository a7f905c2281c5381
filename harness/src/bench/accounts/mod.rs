//! Adds the users that send and read messages during the benchmark.

mod api;
mod postgres;
mod sqlite;

use sha2::{Digest as _, Sha256};

pub(super) use self::api::register;

use crate::{Backend, TestDatabase};

/// A user, logged in on each of its devices.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) devices: Vec<Device>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) token: String,
    /// The index of the device's mailbox in the [`Ledger`](super::ledger::Ledger), which records the messages that were
    /// sent to each mailbox.
    pub(super) mailbox: usize,
}

/// A username, and a token for each of the user's devices.
pub(super) type Credentials = (String, Vec<String>);

/// The users to add to a database.
struct Plan<'a> {
    /// The usernames are this prefix and a number: 1, 2, 3 and so on.
    prefix: &'a str,
    users: u32,
    devices: u32,
    /// The SHA-256 hashes of the tokens, in hexadecimal: those of the first user, then those of the second user, and so
    /// on.
    token_hashes: Vec<String>,
}

/// Adds users with devices and sessions directly to the database of a running server, in one transaction. Registration
/// through the API would hash a password for each user. The hashing would be slow, and would need more memory than the
/// workload, so that the peak memory of the workload could not be measured.
pub(super) async fn add(
    database: &TestDatabase,
    prefix: &str,
    users: u32,
    devices: u32,
) -> anyhow::Result<Vec<Credentials>> {
    let token = |index: u32| hex(&Sha256::digest(format!("{prefix}{index}")));
    let tokens: Vec<_> = (0..users * devices).map(token).collect();
    let token_hashes = tokens.iter().map(|token| hex(&Sha256::digest(token))).collect();
    let plan = Plan { prefix, users, devices, token_hashes };
    match database.backend() {
        Backend::Sqlite => sqlite::add(database, &plan).await?,
        Backend::Postgres => postgres::add(database, &plan).await?,
    }
    let of_users = tokens.chunks(devices as usize).enumerate();
    Ok(of_users.map(|(index, tokens)| (format!("{prefix}{}", index + 1), tokens.to_vec())).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
