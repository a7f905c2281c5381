use reqwest::Method;
use serde_json::json;

use crate::client::{Client, send};

/// All operations of the classic API that need a username and a password: all except registration.
const CLOSED: [(Method, &str); 6] = [
    (Method::GET, "/users/me"),
    (Method::POST, "/users/me"),
    (Method::GET, "/users/friends"),
    (Method::POST, "/messages"),
    (Method::GET, "/messages"),
    (Method::DELETE, "/messages"),
];

pub(super) async fn every_operation_except_registration_needs_credentials(client: Client) -> anyhow::Result<()> {
    for (method, path) in CLOSED {
        send(client.request(method, path)).await?.expect_error(401)?;
    }
    Ok(())
}

pub(super) async fn every_operation_checks_the_credentials_before_the_body(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let good = json!({ "recipient": alice.name, "contents": "foo", "info": "bar" }).to_string();
    let bodies = [good, "{".to_owned(), "\0".to_owned(), "x".repeat(2 * 1024 * 1024)];
    for (method, path) in CLOSED {
        for query in ["", "?username=alice&until=0", "?until=soon"] {
            for body in &bodies {
                let request = client.request(method.clone(), &format!("{path}{query}")).body(body.clone());
                send(request).await?.expect_error(401)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn registration_without_a_body_is_refused(client: Client) -> anyhow::Result<()> {
    send(client.request(Method::POST, "/users")).await?.expect_error(400)?;
    Ok(())
}
