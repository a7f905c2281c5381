use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::client::{Client, registration, send};
use crate::sanity::ensure_eq;

pub(super) async fn the_server_is_alive_and_ready(client: Client) -> anyhow::Result<()> {
    for path in ["/health/live", "/health/ready"] {
        ensure_eq!(client.get(path).await?.expect(200)?["status"], "ok");
    }
    Ok(())
}

pub(super) async fn the_document_is_the_same_in_every_format(client: Client) -> anyhow::Result<()> {
    let document = client.get("/openapi.json").await?.expect(200)?;
    let yaml = client.get("/openapi.yaml").await?;
    ensure_eq!(yaml.status, 200);
    ensure!(
        yaml.text.starts_with("openapi: 3."),
        "the YAML does not start with the OpenAPI version, but with {:?}",
        yaml.text.get(..40)
    );

    let mut ids = BTreeSet::new();
    let paths = document["paths"].as_object().context("paths is not an object")?;
    for (path, operations) in paths {
        ensure!(yaml.text.contains(&format!("\n  {path}:\n")), "{path} is not in the YAML");
        for (method, operation) in operations.as_object().context("operations is not an object")? {
            let id = operation["operationId"].as_str().with_context(|| format!("{method} {path} has no id"))?;
            ensure!(ids.insert(id), "two operations have the id {id}");
            ensure!(operation["summary"].is_string(), "{id} has no summary");
            ensure!(yaml.text.contains(id), "{id} is not in the YAML");
        }
    }
    let page = client.get("/docs").await?;
    ensure_eq!(page.status, 200);
    ensure!(ids.iter().all(|id| page.text.contains(*id)), "the page does not show all operations");

    let closed = &document["paths"]["/messages"]["get"]["security"];
    let schemes = closed[0].as_object().context("the document declares no credentials for GET /messages")?;
    let headers: Vec<&Value> =
        schemes.keys().map(|scheme| &document["components"]["securitySchemes"][scheme]["name"]).collect();
    ensure_eq!(headers, ["x-user-name", "x-user-token"]);
    Ok(())
}

pub(super) async fn the_documentation_loads_nothing_from_other_hosts(client: Client) -> anyhow::Result<()> {
    let page = client.get("/docs").await?.text;
    for (start, _) in page.match_indices("<script").chain(page.match_indices("<link")).chain(page.match_indices("<img"))
    {
        let tag = page[start..].split('>').next().unwrap_or_default();
        ensure!(!tag.contains("//"), "the page loads a file from another host: {tag}");
    }
    Ok(())
}

pub(super) async fn the_root_leads_browsers_to_the_documentation(client: Client) -> anyhow::Result<()> {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    // The client follows the redirect.
    let page = send(client.request(Method::GET, "/").header(ACCEPT, accept)).await?;
    ensure!(
        page.status == 200 && page.header(CONTENT_TYPE)?.starts_with("text/html"),
        "the root is {:?}",
        page.headers
    );
    ensure!(page.text.contains("swagger"), "the root does not lead to Swagger UI");
    let root = client.get("/").await?.expect(200)?;
    ensure_eq!(root["name"], "Woosh");
    for link in ["documentation", "openapi"] {
        let path = root[link].as_str().with_context(|| format!("the root has no link {link}: {root}"))?;
        ensure_eq!(client.get(path).await?.status, 200);
    }
    client.get("/favicon.ico").await?.expect_no_content()
}

pub(super) async fn responses_with_secrets_are_not_cached(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let bob = client.user("bob").await?;
    let name = client.name("carol");
    let responses = [
        client.post("/v1/users", &registration(&name, "secret")).await?,
        client.post("/v1/sessions", &alice.login()).await?,
        alice.get("/v1/users/me").await?,
        alice.patch("/v1/users/me", &json!({ "info": "likes tea" })).await?,
        client.post("/users", &registration(&client.name("dave"), "secret")).await?,
        bob.get("/users/me").await?,
        bob.post("/users/me", &json!({ "info": "likes tea" })).await?,
    ];
    for response in responses {
        ensure!(response.status.is_success(), "{} returned {}", response.request, response.status);
        ensure!(response.header(CACHE_CONTROL)? == "no-store", "{} may be cached", response.request);
    }
    Ok(())
}

pub(super) async fn every_response_has_a_distinct_request_id(client: Client) -> anyhow::Result<()> {
    let mut ids = BTreeSet::new();
    for path in ["/health/live", "/messages", "/nonsense", "/docs", "/v1/mailbox", "/v1/nonsense"] {
        let answer = client.get(path).await?;
        let id = answer.headers.get("x-request-id").context("the response has no x-request-id")?;
        ensure!(ids.insert(id.as_bytes().to_vec()), "two responses have the request id {id:?}");
    }
    Ok(())
}
