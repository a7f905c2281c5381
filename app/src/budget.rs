//! Limits on the memory of request and response bodies: of all clients together, of each account, and of each IP
//! address.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use woosh_domain::model::UserId;

const MIB: usize = 1024 * 1024;

/// The memory limits of request bodies. A body counts from its arrival until its request is answered.
pub(crate) static REQUEST_BODIES: Budget = Budget::new(Shares { total: 32 * MIB, account: 8 * MIB, address: 24 * MIB });
/// The memory limits of response bodies. A body counts until it is written to its connection.
pub(crate) static RESPONSE_BODIES: Budget =
    Budget::new(Shares { total: 64 * MIB, account: 16 * MIB, address: 48 * MIB });

/// Limits in bytes: for all clients together, for each account, and for each IP address. The limit of an address is
/// most of the total, because all clients behind a proxy have the address of the proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    pub(crate) total: usize,
    pub(crate) account: usize,
    pub(crate) address: usize,
}

/// A limited amount of memory that clients reserve, in bytes. A reservation that would exceed a limit fails at once
/// instead of waiting.
#[derive(Debug)]
pub(crate) struct Budget {
    shares: Shares,
    used: Mutex<Used>,
}

/// The number of bytes that are reserved now. The maps contain only accounts and addresses with reservations.
#[derive(Debug)]
struct Used {
    total: usize,
    accounts: BTreeMap<i64, usize>,
    addresses: BTreeMap<IpAddr, usize>,
}

/// The client that sent a request: its IP address, and its account once the client is authenticated.
#[derive(Debug)]
pub(crate) struct Client {
    address: Option<IpAddr>,
    account: OnceLock<i64>,
}

impl Client {
    /// Creates a client that is not authenticated yet.
    pub(crate) fn new(address: Option<IpAddr>) -> Self {
        Self { address: address.map(network), account: OnceLock::new() }
    }

    /// Records the account of an authenticated client.
    pub(crate) fn set_account(&self, account: UserId) {
        // A second call is ignored: a request has one account.
        let _ = self.account.set(account.get());
    }
}

/// Returns the address to count memory for: the address itself for IPv4, and the /64 network for IPv6, because a client
/// with IPv6 can use every address of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
    }
}

impl Budget {
    pub(crate) const fn new(shares: Shares) -> Self {
        let used = Used { total: 0, accounts: BTreeMap::new(), addresses: BTreeMap::new() };
        Self { shares, used: Mutex::new(used) }
    }

    /// Reserves bytes for a client until the reservation is dropped. Returns `None` if this would exceed a limit.
    pub(crate) fn reserve(&'static self, client: &Client, bytes: usize) -> Option<Reservation> {
        let (account, address) = (client.account.get().copied(), client.address);
        let mut used = self.used();
        let of_account = account.and_then(|account| used.accounts.get(&account)).copied().unwrap_or(0);
        let of_address = address.and_then(|address| used.addresses.get(&address)).copied().unwrap_or(0);
        let fits = used.total + bytes <= self.shares.total
            && of_account + bytes <= self.shares.account
            && of_address + bytes <= self.shares.address;
        if !fits {
            return None;
        }
        used.total += bytes;
        if let Some(account) = account {
            used.accounts.insert(account, of_account + bytes);
        }
        if let Some(address) = address {
            used.addresses.insert(address, of_address + bytes);
        }
        Some(Reservation { budget: self, account, address, bytes })
    }

    /// Reserves memory for `bytes`, and returns the same bytes. The reservation ends when the returned bytes and all
    /// slices of them are dropped. Returns `None` if the reservation would exceed a limit.
    pub(crate) fn charge(&'static self, client: &Client, bytes: Bytes) -> Option<Bytes> {
        let reservation = self.reserve(client, bytes.len())?;
        Some(Bytes::from_owner(Charged { bytes, _reservation: reservation }))
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Ignores poisoning, because a panic under this lock can't leave the data inconsistent.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserved bytes of a budget. Dropping this value makes the bytes available again.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: &'static Budget,
    account: Option<i64>,
    address: Option<IpAddr>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.budget.used();
        used.total -= self.bytes;
        if let Some(account) = self.account {
            release(used.accounts.entry(account), self.bytes);
        }
        if let Some(address) = self.address {
            release(used.addresses.entry(address), self.bytes);
        }
    }
}

fn release<K: Ord>(entry: Entry<'_, K, usize>, bytes: usize) {
    if let Entry::Occupied(mut used) = entry {
        *used.get_mut() -= bytes;
        if *used.get() == 0 {
            used.remove();
        }
    }
}

struct Charged {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(total: usize, account: usize, address: usize) -> &'static Budget {
        Box::leak(Box::new(Budget::new(Shares { total, account, address })))
    }

    fn client(address: &str, account: Option<i64>) -> Client {
        let client = Client::new(Some(address.parse().unwrap()));
        if let Some(account) = account {
            client.set_account(UserId::new(account));
        }
        client
    }

    #[test]
    fn a_budget_is_shared_by_all_clients() {
        let budget = budget(10, 10, 10);
        let first = budget.reserve(&client("10.0.0.1", Some(1)), 6).unwrap();
        assert!(budget.reserve(&client("10.0.0.2", Some(2)), 5).is_none());
        drop(first);
        assert!(budget.reserve(&client("10.0.0.2", Some(2)), 5).is_some());
    }

    #[test]
    fn an_account_or_an_address_leaves_room_for_others() {
        let budget = budget(100, 5, 8);
        let alice = client("10.0.0.1", Some(1));
        let _first = budget.reserve(&alice, 5).unwrap();
        assert!(budget.reserve(&alice, 1).is_none());
        assert!(budget.reserve(&client("10.0.0.9", Some(1)), 1).is_none());
        let _second = budget.reserve(&client("10.0.0.1", None), 3).unwrap();
        assert!(budget.reserve(&client("10.0.0.1", Some(2)), 1).is_none());
        assert!(budget.reserve(&client("10.0.0.2", Some(2)), 5).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let budget = budget(100, 100, 5);
        let _first = budget.reserve(&client("2001:db8:1:2::1", None), 5).unwrap();
        assert!(budget.reserve(&client("2001:db8:1:2:ffff::7", None), 1).is_none());
        assert!(budget.reserve(&client("2001:db8:1:3::1", None), 5).is_some());
        assert!(budget.reserve(&client("::ffff:10.0.0.1", None), 5).is_some());
        assert!(budget.reserve(&client("::ffff:10.0.0.2", None), 5).is_some());
    }

    #[test]
    fn charged_bytes_are_released_with_their_last_part() {
        let (budget, client) = (budget(10, 10, 10), client("10.0.0.1", Some(1)));
        let bytes = budget.charge(&client, Bytes::from_static(b"0123456789")).unwrap();
        let part = bytes.slice(9..);
        drop(bytes);
        assert!(budget.charge(&client, Bytes::from_static(b"x")).is_none());
        drop(part);
        assert!(budget.charge(&client, Bytes::from_static(b"x")).is_some());
        let used = budget.used();
        assert_eq!((used.total, used.accounts.len(), used.addresses.len()), (0, 0, 0));
    }
}
