use anyhow::{Context as _, ensure};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// An answer that has arrived whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Sends a request and waits for the whole answer.
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let (client, request) = request.build_split();
    let request = request?;
    let described = format!("{} {}", request.method(), request.url().path());
    let response = client.execute(request).await.with_context(|| format!("{described} got no answer"))?;
    Ok(Answer {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.with_context(|| format!("the answer to {described} broke off"))?,
        request: described,
    })
}

impl Answer {
    /// The JSON body, where the status is the expected one.
    pub(crate) fn expect(&self, status: u16) -> anyhow::Result<Value> {
        ensure!(
            self.status == status,
            "{} gave {} where {status} was expected: {}",
            self.request,
            self.status,
            self.text
        );
        serde_json::from_str(&self.text).with_context(|| format!("{} gave no JSON: {}", self.request, self.text))
    }

    /// Fails unless the status is 204 and there is no body.
    pub(crate) fn expect_nothing(&self) -> anyhow::Result<()> {
        ensure!(
            self.status == 204 && self.text.is_empty(),
            "{} gave {} where 204 and no body was expected: {}",
            self.request,
            self.status,
            self.text
        );
        Ok(())
    }

    /// A header that has to be there, as text.
    pub(crate) fn header(&self, name: HeaderName) -> anyhow::Result<&str> {
        let value = self.headers.get(&name).and_then(|value| value.to_str().ok());
        value.with_context(|| format!("{} gave no {name}: {:?}", self.request, self.headers))
    }

    /// The message of an error in the classic shape, where the status is the expected one.
    pub(crate) fn expect_error(&self, status: u16) -> anyhow::Result<String> {
        let error = self.expect(status)?;
        let fields = error.as_object().map(|error| error.keys().map(String::as_str).collect::<Vec<_>>());
        ensure!(
            fields.is_some_and(|fields| fields == ["status", "message"]) && error["status"] == status,
            "{} gave an error of another shape: {}",
            self.request,
            self.text
        );
        Ok(error["message"].as_str().context("the message of an error is no text")?.to_owned())
    }

    /// Fails unless this is an error of that status whose message has all these parts.
    pub(crate) fn expect_error_with(&self, status: u16, parts: &[&str]) -> anyhow::Result<()> {
        let message = self.expect_error(status)?;
        for part in parts {
            ensure!(message.contains(part), "{}: the message does not say {part:?}: {message}", self.request);
        }
        Ok(())
    }
}
