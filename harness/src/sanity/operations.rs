use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::client::{Client, ensure_eq};

pub(super) async fn the_server_is_alive_and_ready(client: Client) -> anyhow::Result<()> {
    for path in ["/health/live", "/health/ready"] {
        ensure_eq!(client.get(path).await?.expect(200)?["status"], "ok");
    }
    Ok(())
}

pub(super) async fn the_document_is_the_same_in_all_forms(client: Client) -> anyhow::Result<()> {
    let document = client.get("/openapi.json").await?.expect(200)?;
    let yaml = client.get("/openapi.yaml").await?;
    ensure_eq!(yaml.status, 200);
    ensure!(yaml.text.starts_with("openapi: 3."), "the YAML starts with {:?}", yaml.text.get(..40));

    let mut ids = BTreeSet::new();
    let paths = document["paths"].as_object().context("no paths")?;
    for (path, operations) in paths {
        ensure!(yaml.text.contains(&format!("\n  {path}:\n")), "{path} is not in the YAML");
        for (method, operation) in operations.as_object().context("no operations")? {
            let id = operation["operationId"].as_str().with_context(|| format!("{method} {path} has no id"))?;
            ensure!(ids.insert(id), "two operations are called {id}");
            ensure!(operation["summary"].is_string(), "{id} has no summary");
            ensure!(yaml.text.contains(id), "{id} is not in the YAML");
        }
    }
    let page = client.get("/docs").await?;
    ensure_eq!(page.status, 200);
    ensure!(ids.iter().all(|id| page.text.contains(*id)), "the page does not show all operations");

    let closed = &document["paths"]["/messages"]["get"]["security"];
    let schemes = closed[0].as_object().context("polling needs no credentials")?;
    let headers: Vec<&Value> =
        schemes.keys().map(|scheme| &document["components"]["securitySchemes"][scheme]["name"]).collect();
    ensure_eq!(headers, ["x-user-name", "x-user-token"]);
    Ok(())
}

pub(super) async fn the_documentation_loads_nothing_from_elsewhere(client: Client) -> anyhow::Result<()> {
    let page = client.get("/docs").await?.text;
    for (place, _) in page.match_indices("<script").chain(page.match_indices("<link")).chain(page.match_indices("<img"))
    {
        let tag = page[place..].split('>').next().unwrap_or_default();
        ensure!(!tag.contains("//"), "the page loads {tag}");
    }
    Ok(())
}

pub(super) async fn every_answer_has_a_request_id(client: Client) -> anyhow::Result<()> {
    let mut ids = BTreeSet::new();
    for path in ["/health/live", "/messages", "/nonsense", "/docs", "/v1/mailbox", "/v1/nonsense"] {
        let answer = client.get(path).await?;
        let id = answer.headers.get("x-request-id").context("there is no x-request-id")?;
        ensure!(ids.insert(id.as_bytes().to_vec()), "{id:?} came twice");
    }
    Ok(())
}
