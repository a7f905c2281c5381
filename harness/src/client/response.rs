use anyhow::{Context as _, ensure};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// A response that has been received completely.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    /// The method and the path of the request.
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Sends a request and receives the complete response.
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<ApiResponse> {
    let (client, request) = request.build_split();
    let request = request?;
    let described = format!("{} {}", request.method(), request.url().path());
    let response = client.execute(request).await.with_context(|| format!("{described}: no response"))?;
    Ok(ApiResponse {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.with_context(|| format!("{described}: the response is incomplete"))?,
        request: described,
    })
}

/// Sends a request. Returns the status and the JSON body of the response, or `None` if no complete response arrives. A
/// body that is not JSON is returned as `null`.
pub async fn try_send(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = send(request).await.ok()?;
    Some((response.status.as_u16(), serde_json::from_str(&response.text).unwrap_or_default()))
}

impl ApiResponse {
    /// Returns the JSON body of a response with the status `status`.
    ///
    /// # Errors
    ///
    /// If the response has another status, or the body is not JSON.
    pub(crate) fn expect(&self, status: u16) -> anyhow::Result<Value> {
        ensure!(self.status == status, "{} returned {}, expected {status}: {}", self.request, self.status, self.text);
        serde_json::from_str(&self.text).with_context(|| format!("{} did not return JSON: {}", self.request, self.text))
    }

    /// Fails unless the status is 204 and the body is empty.
    pub(crate) fn expect_no_content(&self) -> anyhow::Result<()> {
        ensure!(
            self.status == 204 && self.text.is_empty(),
            "{} returned {}, expected 204 and an empty body: {}",
            self.request,
            self.status,
            self.text
        );
        Ok(())
    }

    /// Returns the value of a header.
    ///
    /// # Errors
    ///
    /// If the header is missing or not text.
    pub(crate) fn header(&self, name: HeaderName) -> anyhow::Result<&str> {
        let value = self.headers.get(&name).and_then(|value| value.to_str().ok());
        value.with_context(|| format!("{} returned no {name}: {:?}", self.request, self.headers))
    }

    /// Returns the message of a classic API error with the status `status`.
    ///
    /// # Errors
    ///
    /// If the response has another status, or the body is not an error of the classic API.
    pub(crate) fn expect_error(&self, status: u16) -> anyhow::Result<String> {
        let error = self.expect(status)?;
        let fields = error.as_object().map(|error| error.keys().map(String::as_str).collect::<Vec<_>>());
        ensure!(
            fields.is_some_and(|fields| fields == ["status", "message"]) && error["status"] == status,
            "{} returned an error in another format: {}",
            self.request,
            self.text
        );
        Ok(error["message"].as_str().context("the message of the error is not a string")?.to_owned())
    }

    /// Fails unless the response is an error of the classic API with the status `status`, and its message contains all
    /// `parts`.
    pub(crate) fn expect_error_with(&self, status: u16, parts: &[&str]) -> anyhow::Result<()> {
        let message = self.expect_error(status)?;
        for part in parts {
            ensure!(message.contains(part), "{}: the message does not contain {part:?}: {message}", self.request);
        }
        Ok(())
    }
}
