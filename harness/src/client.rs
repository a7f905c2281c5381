//! A small client of v1, for those who prove that a server delivers. It says what came of a request, also where none did,
//! and leaves to its user what that means.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Who nobody else can log in as.
const PASSWORD: &str = "a password";
/// The longest that a request may take: longer than the server may wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// A device of a user, logged in. Each request names the server that it is for, any of those on one database.
#[derive(Debug, Clone)]
pub struct Device {
    http: reqwest::Client,
    name: String,
    id: i64,
    token: String,
}

impl Device {
    /// Registers a user.
    ///
    /// # Errors
    ///
    /// Where that is refused.
    pub async fn register(url: &str, name: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let user = json!({ "username": name, "password": PASSWORD, "public_key": "" });
        let answer = expect(http.post(format!("{url}/v1/users")).json(&user), 201).await?;
        Self::new(http, name, &answer)
    }

    /// Logs in its user on another device.
    ///
    /// # Errors
    ///
    /// Where that is refused.
    pub async fn another(&self, url: &str) -> anyhow::Result<Self> {
        let login = json!({ "username": self.name, "password": PASSWORD });
        let answer = expect(self.http.post(format!("{url}/v1/sessions")).json(&login), 201).await?;
        Self::new(self.http.clone(), &self.name, &answer)
    }

    fn new(http: reqwest::Client, name: &str, answer: &Value) -> anyhow::Result<Self> {
        let id = answer["device"]["id"].as_i64().context("the device has no id")?;
        let token = answer["token"].as_str().context("there is no token")?.to_owned();
        Ok(Self { http, name: name.to_owned(), id, token })
    }

    /// The name of its user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What names the device.
    pub fn id(&self) -> i64 {
        self.id
    }

    fn request(&self, method: Method, url: &str, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{url}/v1/{path}")).bearer_auth(&self.token)
    }

    /// A send of the same contents to users.
    pub fn message(&self, url: &str, recipients: &[&str], contents: &str) -> RequestBuilder {
        let recipients = recipients.iter().map(|name| json!({ "username": name, "contents": contents }));
        let body = json!({ "recipients": recipients.collect::<Vec<_>>() });
        self.request(Method::POST, url, "messages").json(&body)
    }

    /// A reading of the mailbox, with that query.
    pub fn mailbox(&self, url: &str, query: &str) -> RequestBuilder {
        self.request(Method::GET, url, &format!("mailbox?{query}"))
    }

    /// An acknowledgement.
    pub fn acknowledgement(&self, url: &str, up_to: i64) -> RequestBuilder {
        self.request(Method::POST, url, "mailbox/ack").json(&json!({ "up_to": up_to }))
    }

    /// Sends a message that has to be stored.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub async fn send(&self, url: &str, recipients: &[&str], contents: &str) -> anyhow::Result<()> {
        let receipt = expect(self.message(url, recipients, contents), 201).await?;
        ensure!(receipt["undelivered"] == json!([]), "not all was delivered: {receipt}");
        Ok(())
    }

    /// Reads a page, with that query.
    ///
    /// # Errors
    ///
    /// Where that fails.
    pub async fn page(&self, url: &str, query: &str) -> anyhow::Result<Page> {
        Page::parse(&expect(self.mailbox(url, query), 200).await?)
    }

    /// A reading of the stream of the mailbox, after a sequence number or after what is acknowledged.
    pub fn streaming(&self, url: &str, after: Option<i64>) -> RequestBuilder {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        self.request(Method::GET, url, &format!("mailbox/stream{query}"))
    }

    /// Opens the stream of the mailbox, after what is acknowledged.
    ///
    /// # Errors
    ///
    /// Where that fails.
    pub async fn stream(&self, url: &str) -> anyhow::Result<Events> {
        let response = self.streaming(url, None).send().await?;
        ensure!(response.status() == 200, "no stream was opened: {response:?}");
        Ok(Events::new(response))
    }
}

/// The status and the JSON of the answer to a request; none where no whole answer came.
pub async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let body = response.bytes().await.ok()?;
    // What is no JSON is not what was asked for, whatever it is.
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// The JSON of the answer to a request, which has to have that status.
async fn expect(request: RequestBuilder, status: u16) -> anyhow::Result<Value> {
    let response = request.send().await?;
    let (got, text) = (response.status(), response.text().await?);
    ensure!(got == status, "{got} came where {status} was expected: {text}");
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// A page of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The messages, in the order in which they came.
    pub messages: Vec<Message>,
    /// How many gaps it tells of.
    pub gaps: usize,
    /// All up to this number is acknowledged.
    pub acknowledged: i64,
    /// All of the page is at or below this number.
    pub up_to: i64,
    /// Whether there is more.
    pub has_more: bool,
}

impl Page {
    /// Reads a page from JSON.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub fn parse(page: &Value) -> anyhow::Result<Self> {
        let list = |name: &str| page[name].as_array().with_context(|| format!("no {name} in {page}"));
        let number = |name: &str| page[name].as_i64().with_context(|| format!("no {name} in {page}"));
        Ok(Self {
            messages: list("messages")?.iter().map(Message::parse).collect::<anyhow::Result<_>>()?,
            gaps: list("gaps")?.len(),
            acknowledged: number("acknowledged")?,
            up_to: number("up_to")?,
            has_more: page["has_more"].as_bool().context("no has_more")?,
        })
    }
}

/// A message as its recipient has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the mailbox.
    pub sequence: i64,
    /// Whose it is.
    pub sender: String,
    /// What it says.
    pub contents: String,
}

impl Message {
    fn parse(message: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| message[name].as_str().with_context(|| format!("no {name} in {message}"));
        let sequence = message["sequence"].as_i64().with_context(|| format!("no sequence in {message}"))?;
        Ok(Self { sequence, sender: text("sender")?.to_owned(), contents: text("contents")?.to_owned() })
    }
}

/// A stream of messages.
#[derive(Debug)]
pub struct Events {
    response: Response,
    /// What has arrived of the next event.
    pending: Vec<u8>,
}

impl Events {
    /// Reads what came of [`Device::streaming`].
    pub fn new(response: Response) -> Self {
        Self { response, pending: Vec::new() }
    }

    /// The next message; none where the stream has ended.
    ///
    /// # Errors
    ///
    /// Where the stream breaks off, with an error of `reqwest`, or something else than a message comes, with another.
    pub async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                let block = std::str::from_utf8(&block)?;
                if block.starts_with(':') {
                    continue;
                }
                let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                let (id, data) = (line("id: "), line("data: ").unwrap_or_default());
                ensure!(block.contains("event: message\n"), "no message: {block}");
                let message = Message::parse(&serde_json::from_str(data)?)?;
                ensure!(id == Some(&message.sequence.to_string()), "an id of another message: {block}");
                return Ok(Some(message));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
