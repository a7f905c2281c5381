use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::accounts::Account;
use super::contents::Contents;
use super::http::{Connection, Endpoint, excerpt};
use super::ledger::Ledger;

/// Maximum time for the response to a send.
const LIMIT: Duration = Duration::from_secs(60);

/// A client that sends messages on a connection of its own, and checks the responses.
pub(super) struct Sender {
    connection: Connection,
    /// The request line and the headers of each request, up to and including `content-length:`.
    head: String,
    id: u32,
    /// The number of messages that this sender has sent.
    sent: u32,
    contents: Rc<Contents>,
    ledger: Rc<RefCell<Ledger>>,
    body: Vec<u8>,
    request: Vec<u8>,
}

/// The response to a send.
#[derive(Deserialize)]
struct Receipt {
    id: i64,
    undelivered: Vec<serde::de::IgnoredAny>,
}

impl Sender {
    /// Connects to the server. `id` identifies the sender in the contents of its messages.
    pub(super) async fn connect(
        endpoint: &Rc<Endpoint>,
        account: &Account,
        id: u32,
        contents: Rc<Contents>,
        ledger: Rc<RefCell<Ledger>>,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(endpoint).await?;
        let head = endpoint.post("/v1/messages", &account.devices[0].token);
        Ok(Self { connection, head, id, sent: 0, contents, ledger, body: Vec::new(), request: Vec::new() })
    }

    /// Sends one message to these users. Fails unless the server stores the message for each of their devices.
    pub(super) async fn send(&mut self, recipients: &[Rc<Account>]) -> anyhow::Result<()> {
        self.sent += 1;
        self.write(recipients);
        {
            let (mut ledger, now) = (self.ledger.borrow_mut(), Instant::now());
            for device in recipients.iter().flat_map(|account| &account.devices) {
                ledger.send(device.mailbox, self.id, self.sent, now);
            }
        }
        let response = self.connection.exchange(&self.request, LIMIT).await.context("POST /v1/messages")?;
        let body = response.expect(201, "POST /v1/messages")?;
        let receipt: Receipt = serde_json::from_slice(body)
            .with_context(|| format!("POST /v1/messages returned no receipt: {}", excerpt(body)))?;
        ensure!(receipt.id > 0, "POST /v1/messages returned an id that is not positive: {}", excerpt(body));
        ensure!(
            receipt.undelivered.is_empty(),
            "a mailbox is full, so a message was not stored: lower --seconds or raise the server's limits: {}",
            excerpt(body)
        );
        Ok(())
    }

    /// Writes the request that sends the next message to these users.
    fn write(&mut self, recipients: &[Rc<Account>]) {
        self.body.clear();
        self.body.extend_from_slice(b"{\"recipients\":[");
        for (index, account) in recipients.iter().enumerate() {
            if index > 0 {
                self.body.push(b',');
            }
            // Writes the texts without JSON escapes, because neither usernames nor contents need any. Writing to a
            // vector can't fail.
            let _ = write!(self.body, "{{\"username\":\"{}\",\"contents\":\"", account.name);
            self.contents.write(self.id, self.sent, &mut self.body);
            self.body.extend_from_slice(b"\"}");
        }
        self.body.extend_from_slice(b"]}");
        self.request.clear();
        let _ = write!(self.request, "{}{}\r\n\r\n", self.head, self.body.len());
        self.request.extend_from_slice(&self.body);
    }
}
