//! Users to send as and to read as.

mod api;
mod postgres;
mod sqlite;

use sha2::{Digest as _, Sha256};

pub(super) use self::api::register;

use crate::{Backend, TestDatabase};

/// A user with its devices, each logged in.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) devices: Vec<Device>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) token: String,
    /// The index of its mailbox in the ledger.
    pub(super) mailbox: usize,
}

/// A name and the tokens of the devices.
pub(super) type Credentials = (String, Vec<String>);

/// Users to add to a database.
struct Plan<'a> {
    /// The usernames are this and a number from 1 on.
    prefix: &'a str,
    users: u32,
    devices: u32,
    /// The SHA-256 hashes of the tokens in hexadecimal, device by device.
    token_hashes: Vec<String>,
}

/// Adds users with devices and sessions to the database of a running server at once, in one transaction. Registering them
/// would cost a password hash each, and the memory for it would be the peak of the server's memory.
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
