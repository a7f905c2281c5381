use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{ApiResponse, Client, send};

/// A user of the classic API.
#[derive(Debug, Clone)]
pub(crate) struct ClassicUser {
    pub(super) client: Client,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) password: String,
}

impl ClassicUser {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, path)
            .header("x-user-name", &self.name)
            .header("x-user-token", self.password.as_bytes())
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::DELETE, path)).await
    }

    /// Sends a message. Returns the message from the response. Fails if the server refuses the message.
    pub(crate) async fn write(&self, to: &Self, contents: &str) -> anyhow::Result<Value> {
        self.write_to(&to.name, contents).await
    }

    /// Sends a message to the user `name`. Returns the message from the response. Fails if the server refuses the
    /// message.
    pub(crate) async fn write_to(&self, name: &str, contents: &str) -> anyhow::Result<Value> {
        self.post("/messages", &json!({ "recipient": name, "contents": contents })).await?.expect(201)
    }

    /// Polls for messages. Returns the messages and the `query_time` of the response, a Unix second. All pending
    /// messages that were sent before the `query_time` are in the response.
    pub(crate) async fn poll(&self) -> anyhow::Result<(Vec<Value>, i64)> {
        let page = self.get("/messages").await?.expect(200)?;
        let query_time = page["query_time"].as_i64().context("query_time is not an integer")?;
        let messages = page["messages"].as_array().context("messages is not an array")?;
        Ok((messages.clone(), query_time))
    }

    /// Polls until a response contains at least `count` messages, all of them sent before its `query_time`. Only such
    /// messages can be deleted. Returns the messages and the `query_time` of this response.
    pub(crate) async fn poll_until_old(&self, count: usize) -> anyhow::Result<(Vec<Value>, i64)> {
        for _ in 0..500 {
            let (messages, query_time) = self.poll().await?;
            if messages.len() >= count
                && messages.iter().all(|message| message["sent_at"].as_i64().is_some_and(|at| at < query_time))
            {
                return Ok((messages, query_time));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("after ten seconds there are not {count} messages older than the query time");
    }

    /// Deletes the messages sent before the Unix second `until`. Returns the number of deleted messages.
    pub(crate) async fn delete_until(&self, until: i64) -> anyhow::Result<u64> {
        let response = self.delete(&format!("/messages?until={until}")).await?.expect(200)?;
        ensure!(response["result"] == "success", "the result is {}", response["result"]);
        response["deleted"].as_u64().context("deleted is not a count")
    }
}
