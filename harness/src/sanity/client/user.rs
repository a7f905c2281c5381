use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Client, send};

/// A user of the classic API, to ask as.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(super) client: Client,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) password: String,
}

impl User {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, path)
            .header("x-user-name", &self.name)
            .header("x-user-token", self.password.as_bytes())
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    /// Sends a message that has to be taken, and gives it as it was answered.
    pub(crate) async fn write(&self, to: &Self, contents: &str) -> anyhow::Result<Value> {
        self.write_to(&to.name, contents).await
    }

    /// Sends a message to the user of that name, which has to be taken, and gives it as it was answered.
    pub(crate) async fn write_to(&self, name: &str, contents: &str) -> anyhow::Result<Value> {
        self.post("/messages", &json!({ "recipient": name, "contents": contents })).await?.expect(201)
    }

    /// Polls, and gives the messages and the query time.
    pub(crate) async fn poll(&self) -> anyhow::Result<(Vec<Value>, i64)> {
        let page = self.get("/messages").await?.expect(200)?;
        let query_time = page["query_time"].as_i64().context("query_time is no integer")?;
        let messages = page["messages"].as_array().context("messages is no array")?;
        Ok((messages.clone(), query_time))
    }

    /// Polls until all of at least `count` messages could be deleted by the query time.
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
        bail!("after ten seconds {count} messages could not be deleted yet");
    }

    /// Deletes what is older than a second, and gives how many messages that was.
    pub(crate) async fn delete_until(&self, seconds: i64) -> anyhow::Result<u64> {
        let answer = self.delete(&format!("/messages?until={seconds}")).await?.expect(200)?;
        ensure!(answer["result"] == "success", "the result is {}", answer["result"]);
        answer["deleted"].as_u64().context("deleted is no count")
    }
}
