use anyhow::Context as _;
use serde_json::Value;

/// A page of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPage {
    /// The messages in order of their sequence numbers.
    pub messages: Vec<Message>,
    /// The number of gaps that the page reports.
    pub gaps: usize,
    /// The incarnation of the mailbox.
    pub incarnation: String,
    /// Everything up to this sequence number is acknowledged.
    pub acknowledged: i64,
    /// The last sequence number that the page covers.
    pub up_to: i64,
    /// Whether more messages or gaps are pending after `up_to`.
    pub has_more: bool,
}

impl MailboxPage {
    /// Parses a page.
    ///
    /// # Errors
    ///
    /// If a field is missing or has another type.
    pub fn parse(page: &Value) -> anyhow::Result<Self> {
        let incarnation = page["incarnation"].as_str();
        let list = |name: &str| page[name].as_array().with_context(|| format!("{name} is not an array in {page}"));
        let number = |name: &str| page[name].as_i64().with_context(|| format!("{name} is not an integer in {page}"));
        Ok(Self {
            messages: list("messages")?.iter().map(Message::parse).collect::<anyhow::Result<_>>()?,
            gaps: list("gaps")?.len(),
            incarnation: incarnation.with_context(|| format!("incarnation is not a string in {page}"))?.to_owned(),
            acknowledged: number("acknowledged")?,
            up_to: number("up_to")?,
            has_more: page["has_more"].as_bool().with_context(|| format!("has_more is not a boolean in {page}"))?,
        })
    }
}

/// A message on a page of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sequence number of the envelope.
    pub sequence: i64,
    /// The username of the sender.
    pub sender: String,
    /// The contents, as sent.
    pub contents: String,
}

impl Message {
    pub(super) fn parse(message: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| message[name].as_str().with_context(|| format!("{name} is not a string in {message}"));
        let sequence =
            message["sequence"].as_i64().with_context(|| format!("sequence is not an integer in {message}"))?;
        Ok(Self { sequence, sender: text("sender")?.to_owned(), contents: text("contents")?.to_owned() })
    }
}
