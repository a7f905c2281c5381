use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::client::{Client, Device};
use crate::sanity::ensure_eq;

pub(super) async fn a_user_is_found_by_its_exact_name_ignoring_case(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("Bob").await?);
    let expected = json!({ "id": bob.user_id, "username": bob.name, "public_key": "a public key" });
    for spelling in [bob.name.clone(), bob.name.to_lowercase(), bob.name.to_uppercase()] {
        ensure_eq!(alice.get(&format!("/v1/users/{spelling}")).await?.expect(200)?, expected);
    }
    Ok(())
}

pub(super) async fn a_partial_or_invalid_name_finds_no_user(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let part = &alice.name[..alice.name.len() - 1];
    let long = "x".repeat(33);
    for name in [part, "alic%25", "*", "no%20name", "%C3%A9lise", "nul%00nul", "m", &long, &client.name("nobody")] {
        alice.get(&format!("/v1/users/{name}")).await?.expect_problem("user_not_found", &[])?;
    }
    Ok(())
}

pub(super) async fn a_search_returns_each_user_once_in_order(client: Client) -> anyhow::Result<()> {
    let prefix = prefix(&client);
    // The expected order ignores case.
    let names = ["-", "0", "_", "A", "aa", "B", "b0", "c"].map(|rest| format!("{prefix}{rest}"));
    let users = try_join_all(names.iter().rev().map(|name| client.register(name))).await?;
    let alice = users.first().context("no user was registered")?;
    for limit in [1, 3, 7, 8, 100] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            ensure!(found.len() < names.len(), "has_more is true although all names were found: {found:?}");
            let (users, has_more) = search(alice, &format!("prefix={prefix}&limit={limit}{after}")).await?;
            ensure!(users.len() <= limit && !users.is_empty(), "a page of at most {limit} users has {}", users.len());
            found.extend(users);
            after = format!("&after={}", found.last().map(String::as_str).unwrap_or_default());
            if !has_more {
                break;
            }
        }
        ensure_eq!(found, names);
    }
    // The username in `after` need not exist.
    ensure_eq!(search(alice, &format!("prefix={prefix}&after={prefix}AZ")).await?.0, names[5..]);
    ensure_eq!(search(alice, &format!("prefix={prefix}&after={prefix}c")).await?, (Vec::new(), false));
    Ok(())
}

pub(super) async fn a_search_matches_only_prefixes_ignoring_case(client: Client) -> anyhow::Result<()> {
    let prefix = prefix(&client);
    let names = [format!("{prefix}X_y"), format!("{prefix}x-y"), format!("{prefix}xzy")];
    let users = try_join_all(names.iter().rev().map(|name| client.register(name))).await?;
    let alice = users.first().context("no user was registered")?;
    let expected = [1, 0, 2].map(|place: usize| names[place].clone());
    ensure_eq!(search(alice, &format!("prefix={}", prefix.to_uppercase())).await?.0, expected);
    // A wildcard of SQL (`_`) matches only itself.
    ensure_eq!(search(alice, &format!("prefix={prefix}x_")).await?.0, names[..1]);
    ensure_eq!(search(alice, &format!("prefix={}", &prefix[1..])).await?.0, [""; 0]);
    let whole = alice.get(&format!("/v1/users?prefix={}", names[0])).await?.expect(200)?;
    let found = alice.get(&format!("/v1/users/{}", names[0])).await?.expect(200)?;
    ensure_eq!(whole, json!({ "users": [found], "has_more": false }));
    Ok(())
}

pub(super) async fn an_invalid_parameter_is_named(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let name = &alice.name;
    let wrong = [
        (String::new(), ["prefix", ""]),
        ("?prefix=".to_owned(), ["prefix", "3"]),
        ("?prefix=al".to_owned(), ["prefix", "3"]),
        ("?prefix=ali%25".to_owned(), ["prefix", ""]),
        ("?prefix=ali*".to_owned(), ["prefix", ""]),
        ("?prefix=nul%00".to_owned(), ["prefix", ""]),
        (format!("?prefix={name}&after=no%20name"), ["after", ""]),
        (format!("?prefix={name}&limit=0"), ["limit", "100"]),
        (format!("?prefix={name}&limit=101"), ["limit", "100"]),
        (format!("?prefix={name}&limit=-1"), ["limit", ""]),
        (format!("?prefix={name}&limit=many"), ["limit", ""]),
        (format!("?prefix={name}&limit="), ["limit", ""]),
    ];
    for (query, parts) in wrong {
        alice.get(&format!("/v1/users{query}")).await?.expect_problem("invalid_request", &parts)?;
    }
    Ok(())
}

/// Returns a prefix that no existing username starts with.
fn prefix(client: &Client) -> String {
    format!("s{}-", client.name(""))
}

/// Searches for users with the query parameters `query`. Returns the usernames that were found, and whether more users
/// match.
async fn search(asking: &Device, query: &str) -> anyhow::Result<(Vec<String>, bool)> {
    let page = asking.get(&format!("/v1/users?{query}")).await?.expect(200)?;
    let users = page["users"].as_array().context("users is not an array")?;
    let names = users.iter().filter_map(|user| user["username"].as_str()).map(str::to_owned);
    Ok((names.collect(), page["has_more"].as_bool().context("has_more is not a boolean")?))
}
