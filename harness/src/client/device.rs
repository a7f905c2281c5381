use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{ApiResponse, ClassicUser, Client, Events, MailboxPage, send};

/// A device of a user, logged in to the v1 API.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) client: Client,
    pub(crate) id: i64,
    pub(crate) session: i64,
    pub(crate) token: String,
    pub(crate) user_id: i64,
    /// The username.
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Device {
    /// Registers a user on the server at `url`. Returns its first device.
    ///
    /// # Errors
    ///
    /// If the server refuses the registration.
    pub async fn register(url: &str, name: &str) -> anyhow::Result<Self> {
        Client::new([url])?.register(name).await
    }

    /// Parses the response to a registration or to a login.
    pub(super) fn new(client: Client, name: String, password: String, opened: &Value) -> anyhow::Result<Self> {
        let token = opened["token"].as_str().context("the token is not a string")?.to_owned();
        let (id, session) = (id_of(&opened["device"])?, id_of(&opened["session"])?);
        let user_id =
            opened["user_id"].as_i64().or_else(|| opened["user"]["id"].as_i64()).context("the user has no id")?;
        Ok(Self { client, id, session, token, user_id, name, password })
    }

    /// Returns a copy of this device that sends its requests to the replica at `url`. The copy uses the same session.
    pub fn at(&self, url: &str) -> Self {
        Self { client: self.client.at(url), ..self.clone() }
    }

    /// The username.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the device.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Logs in as the user of this device, on a new device.
    ///
    /// # Errors
    ///
    /// If the server refuses the login.
    pub async fn another(&self) -> anyhow::Result<Self> {
        self.client.log_in(&self.login()).await
    }

    /// Logs in again on this device. Returns the device with a new session.
    pub(crate) async fn again(&self) -> anyhow::Result<Self> {
        let mut login = self.login();
        login["device_id"] = json!(self.id);
        self.client.log_in(&login).await
    }

    /// Returns the body of a login request for a new device.
    pub(crate) fn login(&self) -> Value {
        json!({ "username": self.name, "password": self.password })
    }

    /// Returns a client that calls the classic API as the user of this device.
    pub(crate) fn classic(&self) -> ClassicUser {
        let (client, name, password) = (self.client.clone(), self.name.clone(), self.password.clone());
        ClassicUser { client, id: self.user_id, name, password }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::DELETE, path)).await
    }

    /// Returns a request that sends the same contents to all recipients.
    pub fn send_request(&self, recipients: &[&str], contents: &str) -> RequestBuilder {
        let recipients = recipients.iter().map(|name| json!({ "username": name, "contents": contents }));
        let body = json!({ "recipients": recipients.collect::<Vec<_>>() });
        self.request(Method::POST, "/v1/messages").json(&body)
    }

    /// Returns a request for a page of the mailbox. `query` is empty, or starts with a question mark.
    pub fn page_request(&self, query: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/v1/mailbox{query}"))
    }

    /// Returns a request that acknowledges everything up to a sequence number. Sends `incarnation` if it is given.
    pub fn acknowledge_request(&self, up_to: i64, incarnation: Option<&str>) -> RequestBuilder {
        let mut body = json!({ "up_to": up_to });
        if let Some(incarnation) = incarnation {
            body["incarnation"] = incarnation.into();
        }
        self.request(Method::POST, "/v1/mailbox/ack").json(&body)
    }

    /// Returns a request for the stream of the mailbox. `query` is empty, or starts with a question mark.
    pub fn stream_request(&self, query: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/v1/mailbox/stream{query}"))
    }

    /// Sends a message with the same contents to all recipients.
    ///
    /// # Errors
    ///
    /// If the server refuses the message, or the mailbox of a device is full.
    pub async fn send(&self, recipients: &[&str], contents: &str) -> anyhow::Result<()> {
        let receipt = send(self.send_request(recipients, contents)).await?.expect(201)?;
        ensure!(receipt["undelivered"] == json!([]), "not delivered to every device: {receipt}");
        Ok(())
    }

    /// Sends a message. Returns the receipt. Fails unless every device of the recipient receives the message.
    pub(crate) async fn write(&self, to: &Self, contents: &str) -> anyhow::Result<Value> {
        self.write_to(&[(to, contents)]).await
    }

    /// Sends a message. `recipients` lists each recipient with the contents for this recipient. Returns the receipt.
    /// Fails unless every device of every recipient receives the message.
    pub(crate) async fn write_to(&self, recipients: &[(&Self, &str)]) -> anyhow::Result<Value> {
        let receipt = self.post("/v1/messages", &message(recipients)).await?.expect(201)?;
        ensure!(receipt["undelivered"] == json!([]), "not delivered to every device: {receipt}");
        Ok(receipt)
    }

    /// Reads a page of the mailbox as JSON. `query` is empty, or starts with a question mark.
    pub(crate) async fn page(&self, query: &str) -> anyhow::Result<Value> {
        send(self.page_request(query)).await?.expect(200)
    }

    /// Reads a page of the mailbox. `query` is empty, or starts with a question mark.
    ///
    /// # Errors
    ///
    /// If the request fails, or the response is not a page.
    pub async fn mailbox_page(&self, query: &str) -> anyhow::Result<MailboxPage> {
        MailboxPage::parse(&self.page(query).await?)
    }

    /// Reads the first page of the mailbox. Returns the messages of this page.
    pub(crate) async fn messages(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.page("").await?;
        Ok(page["messages"].as_array().context("messages is not an array")?.clone())
    }

    /// Acknowledges everything up to a sequence number. Returns the last acknowledged sequence number.
    pub(crate) async fn acknowledge(&self, up_to: i64) -> anyhow::Result<i64> {
        let acknowledged = send(self.acknowledge_request(up_to, None)).await?.expect(200)?;
        acknowledged["acknowledged"].as_i64().context("acknowledged is not an integer")
    }

    /// Opens the stream of the mailbox. `query` is empty, or starts with a question mark.
    ///
    /// # Errors
    ///
    /// If the request fails, or the response is not a stream.
    pub async fn stream(&self, query: &str) -> anyhow::Result<Events> {
        Events::open(self.stream_request(query)).await
    }

    /// Fails unless every replica accepts the token of this session. Afterwards, each replica that caches sessions has
    /// cached the token.
    pub(crate) async fn ensure_alive(&self) -> anyhow::Result<()> {
        let responses = try_join_all((0..self.client.replicas()).map(|_| self.get("/v1/devices"))).await?;
        responses.iter().try_for_each(|response| response.expect(200).map(drop))
    }

    /// Fails unless every replica rejects the token of this session.
    pub(crate) async fn ensure_ended(&self) -> anyhow::Result<()> {
        let responses = try_join_all((0..self.client.replicas()).map(|_| self.get("/v1/devices"))).await?;
        responses.iter().try_for_each(|response| response.expect_problem("unauthenticated", &[]))
    }
}

/// Returns the body of a send request. `recipients` lists each recipient with the contents for this recipient.
pub(crate) fn message(recipients: &[(&Device, &str)]) -> Value {
    let recipients = recipients.iter().map(|(to, contents)| json!({ "username": to.name, "contents": contents }));
    json!({ "recipients": recipients.collect::<Vec<_>>() })
}

pub(crate) fn sequences(messages: &[Value]) -> Vec<i64> {
    messages.iter().filter_map(|message| message["sequence"].as_i64()).collect()
}

pub(crate) fn id_of(object: &Value) -> anyhow::Result<i64> {
    object["id"].as_i64().with_context(|| format!("the id is not an integer in {object}"))
}
