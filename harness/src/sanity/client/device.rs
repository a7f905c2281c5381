use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Client, Events, User, send};

/// A session of a device, to ask as.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) client: Client,
    /// Names the device, not its user.
    pub(crate) id: i64,
    pub(crate) session: i64,
    pub(crate) token: String,
    pub(crate) user_id: i64,
    /// The name of its user.
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Device {
    /// The device that a registration or a login of that user gave.
    pub(super) fn new(client: Client, name: String, password: String, answer: &Value) -> anyhow::Result<Self> {
        let token = answer["token"].as_str().context("the token is no text")?.to_owned();
        let (id, session) = (id_of(&answer["device"])?, id_of(&answer["session"])?);
        let user_id = answer["user_id"].as_i64().or(answer["user"]["id"].as_i64()).context("there is no user's id")?;
        Ok(Self { client, id, session, token, user_id, name, password })
    }

    /// Logs in on a new device.
    pub(crate) async fn another(&self) -> anyhow::Result<Self> {
        self.client.log_in(&self.login()).await
    }

    /// Logs in again on this device.
    pub(crate) async fn again(&self) -> anyhow::Result<Self> {
        let mut login = self.login();
        login["device_id"] = json!(self.id);
        self.client.log_in(&login).await
    }

    /// What its user logs in with.
    pub(crate) fn login(&self) -> Value {
        json!({ "username": self.name, "password": self.password })
    }

    /// Its user as one of the classic API.
    pub(crate) fn classic(&self) -> User {
        let (client, name, password) = (self.client.clone(), self.name.clone(), self.password.clone());
        User { client, id: self.user_id, name, password }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    /// Sends a message that has to reach all devices of its recipient, and gives the receipt.
    pub(crate) async fn write(&self, to: &Self, contents: &str) -> anyhow::Result<Value> {
        self.write_to(&[(to, contents)]).await
    }

    /// Sends a message that has to reach all devices of all recipients, and gives the receipt.
    pub(crate) async fn write_to(&self, recipients: &[(&Self, &str)]) -> anyhow::Result<Value> {
        let receipt = self.post("/v1/messages", &message(recipients)).await?.expect(201)?;
        ensure!(receipt["undelivered"] == json!([]), "not all was delivered: {receipt}");
        Ok(receipt)
    }

    /// A page of the mailbox, asked for with that query.
    pub(crate) async fn page(&self, query: &str) -> anyhow::Result<Value> {
        self.get(&format!("/v1/mailbox{query}")).await?.expect(200)
    }

    /// The messages of the first page.
    pub(crate) async fn messages(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.page("").await?;
        Ok(page["messages"].as_array().context("messages is no array")?.clone())
    }

    /// Acknowledges what has to be there, and gives up to which all is acknowledged then.
    pub(crate) async fn acknowledge(&self, up_to: i64) -> anyhow::Result<i64> {
        let answer = self.post("/v1/mailbox/ack", &json!({ "up_to": up_to })).await?.expect(200)?;
        answer["acknowledged"].as_i64().context("acknowledged is no integer")
    }

    /// Opens the stream of the mailbox.
    pub(crate) async fn stream(&self, query: &str) -> anyhow::Result<Events> {
        Events::open(self.request(Method::GET, &format!("/v1/mailbox/stream{query}"))).await
    }

    /// Fails unless every replica takes the token. From then on each may have it in mind.
    pub(crate) async fn ensure_alive(&self) -> anyhow::Result<()> {
        let asked = try_join_all((0..self.client.replicas()).map(|_| self.get("/v1/devices"))).await?;
        asked.iter().try_for_each(|answer| answer.expect(200).map(drop))
    }

    /// Fails unless no replica takes the token any more.
    pub(crate) async fn ensure_ended(&self) -> anyhow::Result<()> {
        let asked = try_join_all((0..self.client.replicas()).map(|_| self.get("/v1/devices"))).await?;
        asked.iter().try_for_each(|answer| answer.expect_problem("unauthenticated", &[]))
    }
}

/// The body of a send.
pub(crate) fn message(recipients: &[(&Device, &str)]) -> Value {
    let recipients = recipients.iter().map(|(to, contents)| json!({ "username": to.name, "contents": contents }));
    json!({ "recipients": recipients.collect::<Vec<_>>() })
}

/// The sequence numbers of messages.
pub(crate) fn sequences(messages: &[Value]) -> Vec<i64> {
    messages.iter().filter_map(|message| message["sequence"].as_i64()).collect()
}

/// The identifier of something.
pub(crate) fn id_of(something: &Value) -> anyhow::Result<i64> {
    something["id"].as_i64().with_context(|| format!("there is no integer id in {something}"))
}
