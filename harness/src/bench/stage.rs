use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::accounts::{Account, Device};
use super::args::BenchArgs;
use super::contents::Contents;
use super::ledger::Ledger;
use super::reader::Reader;
use super::sender::Sender;
use super::target::Target;

/// Maximum number of messages on a page that is read to check a mailbox after a measurement.
const PAGE: usize = 1000;
/// Maximum number of mailboxes that are checked at the same time. Also the maximum number of connections that are
/// opened at the same time.
const AT_A_TIME: usize = 8;

/// The environment of one run of a workload: the server, its users, and a record of the sent messages.
pub(super) struct Stage {
    pub(super) target: Target,
    pub(super) args: Rc<BenchArgs>,
    contents: Rc<Contents>,
    ledger: Rc<RefCell<Ledger>>,
    senders: Cell<u32>,
    /// A prefix of all usernames, which makes them unique on the server.
    prefix: String,
    batches: Cell<u32>,
}

impl Stage {
    pub(super) fn new(target: Target, args: Rc<BenchArgs>) -> Self {
        let contents = Rc::new(Contents::new(args.size as usize));
        let prefix = format!("bench-{:08x}", fastrand::u32(..));
        Self { target, args, contents, ledger: Rc::default(), senders: Cell::new(0), prefix, batches: Cell::new(0) }
    }

    /// Returns the duration of a measurement, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        f64::from(self.args.seconds)
    }

    /// Adds `users` users with `devices` devices each.
    pub(super) async fn accounts(&self, users: u32, devices: u32) -> anyhow::Result<Vec<Rc<Account>>> {
        self.batches.set(self.batches.get() + 1);
        let prefix = format!("{}-{}-", self.prefix, self.batches.get());
        let credentials = self.target.add_users(&prefix, users, devices).await?;
        let mut ledger = self.ledger.borrow_mut();
        let accounts = credentials.into_iter().map(|(name, tokens)| {
            let device = |token| Device { token, mailbox: ledger.add_mailbox() };
            Rc::new(Account { name, devices: tokens.into_iter().map(device).collect() })
        });
        Ok(accounts.collect())
    }

    /// Adds `count` users, and connects one sender for each of these users.
    pub(super) async fn senders(&self, count: usize) -> anyhow::Result<Vec<Sender>> {
        let mut senders = Vec::new();
        for account in self.accounts(u32::try_from(count)?, 1).await? {
            let id = self.senders.get();
            self.senders.set(id + 1);
            let (contents, ledger) = (self.contents.clone(), self.ledger.clone());
            senders.push(Sender::connect(&self.target.endpoint, &account, id, contents, ledger).await?);
        }
        Ok(senders)
    }

    /// Connects a reader that reads the mailbox of `device`.
    pub(super) async fn reader(&self, device: &Device) -> anyhow::Result<Reader> {
        Reader::connect(&self.target.endpoint, device, self.contents.clone(), self.ledger.clone()).await
    }

    /// Connects a reader for each device of these users.
    pub(super) async fn readers(&self, accounts: &[Rc<Account>]) -> anyhow::Result<Vec<Reader>> {
        let devices = accounts.iter().flat_map(|account| &account.devices);
        stream::iter(devices.map(|device| self.reader(device))).buffered(AT_A_TIME).try_collect().await
    }

    /// Reads all messages of these users. Fails unless each mailbox contains exactly the messages that were sent to it.
    pub(super) async fn check(&self, accounts: &[Rc<Account>]) -> anyhow::Result<()> {
        let devices = accounts.iter().flat_map(|account| &account.devices);
        let checks = devices.map(async |device| {
            let mut reader = self.reader(device).await?;
            while reader.read(PAGE, 0).await? > 0 {}
            reader.ensure_complete()
        });
        let checks = stream::iter(checks).buffer_unordered(AT_A_TIME).try_collect();
        checks.await.context("the messages were sent, but reading them afterwards failed")
    }
}
