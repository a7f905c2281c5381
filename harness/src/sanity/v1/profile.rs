use anyhow::ensure;
use futures_util::future::try_join_all;
use reqwest::Method;
use reqwest::header::{ETAG, IF_MATCH};
use serde_json::{Value, json};

use crate::client::{ApiResponse, Client, Device, send};
use crate::sanity::ensure_eq;

const ME: &str = "/v1/users/me";

pub(super) async fn a_user_reads_its_own_vault_and_version(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let answer = alice.get(ME).await?;
    let user = answer.expect(200)?;
    let expected = json!({
        "id": alice.user_id,
        "username": alice.name,
        "public_key": "a public key",
        "private_key": "a private key",
        "info": "",
    });
    ensure_eq!(user, expected);
    let etag = answer.header(ETAG)?;
    ensure!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "the ETag is not a text in quotes: {etag}");
    ensure_eq!(alice.get(ME).await?.header(ETAG)?, etag);
    Ok(())
}

pub(super) async fn an_update_changes_only_the_given_fields(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let mut expected = alice.get(ME).await?.expect(200)?;
    let changes = [
        json!({ "public_key": "another \0 \u{1F54A} \"key\"" }),
        json!({ "private_key": "" }),
        json!({ "info": "i am bea", "username": "mallory", "id": 1 }),
        json!({ "public_key": "p", "private_key": "q", "info": "r" }),
    ];
    let mut versions = Vec::new();
    for change in changes {
        for field in ["public_key", "private_key", "info"] {
            if let Some(value) = change.get(field) {
                expected[field] = value.clone();
            }
        }
        let answer = alice.patch(ME, &change).await?;
        ensure_eq!(answer.expect(200)?, expected);
        let read = alice.get(ME).await?;
        ensure_eq!(read.expect(200)?, expected);
        ensure_eq!(read.header(ETAG)?, answer.header(ETAG)?);
        versions.push(answer.header(ETAG)?.to_owned());
    }
    versions.sort_unstable();
    versions.dedup();
    ensure_eq!(versions.len(), 4);
    let found = client.account("bob").await?.get(&format!("/v1/users/{}", alice.name)).await?.expect(200)?;
    ensure_eq!(found["public_key"], "p");
    Ok(())
}

pub(super) async fn null_removes_the_private_key(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    for _ in 0..2 {
        let user = alice.patch(ME, &json!({ "private_key": Value::Null })).await?.expect(200)?;
        ensure!(user.get("private_key").is_none(), "the user still has a private key: {user}");
        ensure_eq!(alice.get(ME).await?.expect(200)?, user);
    }
    let user = alice.patch(ME, &json!({ "private_key": "a new one" })).await?.expect(200)?;
    ensure_eq!(user["private_key"], "a new one");
    Ok(())
}

pub(super) async fn an_invalid_update_names_its_field_and_changes_nothing(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let before = alice.get(ME).await?;
    for nothing in [json!({}), json!({ "username": "mallory" })] {
        alice.patch(ME, &nothing).await?.expect_problem("invalid_request", &[])?;
    }
    for (field, limit) in [("public_key", 16 * 1024), ("private_key", 64 * 1024), ("info", 64 * 1024)] {
        for wrong in [json!(7), json!(false), json!(["x"]), json!({ "x": "y" })] {
            alice.patch(ME, &json!({ field: wrong })).await?.expect_problem("invalid_request", &[field])?;
        }
        let too_long = json!({ "info": "new", field: "x".repeat(limit + 1) });
        alice.patch(ME, &too_long).await?.expect_problem("invalid_request", &[field, &limit.to_string()])?;
    }
    let after = alice.get(ME).await?;
    ensure_eq!(after.text, before.text);
    ensure_eq!(after.header(ETAG)?, before.header(ETAG)?);
    Ok(())
}

pub(super) async fn an_update_applies_only_to_the_expected_version(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let first = alice.get(ME).await?.header(ETAG)?.to_owned();
    let second = change(&alice, &first, "one").await?;
    second.expect(200)?;
    let second = second.header(ETAG)?;

    let weak = format!("W/{second}");
    for other in [first.as_str(), "\"\"", "\"nonsense\"", "nonsense", &weak, "\"9223372036854775808\"", "\"-1\""] {
        change(&alice, other, "lost").await?.expect_problem("version_mismatch", &[])?;
    }
    let neither = format!("{first}, \"nonsense\"");
    change(&alice, &neither, "lost").await?.expect_problem("version_mismatch", &[])?;
    ensure_eq!(alice.get(ME).await?.expect(200)?["info"], "one");

    let either = format!("\"nonsense\", {first}, {second}");
    change(&alice, &either, "two").await?.expect(200)?;
    change(&alice, "*", "three").await?.expect(200)?;
    ensure_eq!(alice.get(ME).await?.expect(200)?["info"], "three");
    Ok(())
}

pub(super) async fn concurrent_updates_of_one_version_succeed_once(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    for _ in 0..5 {
        let version = alice.get(ME).await?.header(ETAG)?.to_owned();
        let infos = ["a", "b", "c", "d"];
        let answers = try_join_all(infos.iter().map(|info| change(&alice, &version, info))).await?;
        let mut made = None;
        for (answer, info) in answers.iter().zip(infos) {
            if answer.status == 200 {
                ensure!(made.is_none(), "two updates of the same version were applied: {made:?} and {info}");
                made = Some(info);
            } else {
                answer.expect_problem("version_mismatch", &[])?;
            }
        }
        ensure_eq!(alice.get(ME).await?.expect(200)?["info"].as_str(), made);
    }
    Ok(())
}

async fn change(user: &Device, version: &str, info: &str) -> anyhow::Result<ApiResponse> {
    send(user.request(Method::PATCH, ME).header(IF_MATCH, version).json(&json!({ "info": info }))).await
}
