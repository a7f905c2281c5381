use anyhow::ensure;
use serde_json::{Value, json};

use crate::client::{Client, contents, id_of, message, sequences};
use crate::sanity::ensure_eq;

use super::times::ensure_time;

const MESSAGES: &str = "/v1/messages";

pub(super) async fn a_message_arrives_unchanged(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("Alice").await?, client.account("Bob").await?);
    let to = json!([{ "username": bob.name.to_lowercase(), "contents": "foo" }]);
    let body = json!({ "recipients": to, "ttl_seconds": 86400 });
    let receipt = alice.post(MESSAGES, &body).await?.expect(201)?;
    ensure_time(&receipt["sent_at"])?;
    let expected = json!({ "id": id_of(&receipt)?, "sent_at": receipt["sent_at"], "undelivered": [] });
    ensure_eq!(receipt, expected);

    let page = bob.page("").await?;
    let expires_at = &page["messages"][0]["expires_at"];
    let expected = json!({
        "messages": [{
            "sequence": 1,
            "id": receipt["id"],
            "sender": alice.name,
            "sender_device_id": alice.id,
            "contents": "foo",
            "sent_at": receipt["sent_at"],
            "expires_at": expires_at,
        }],
        "gaps": [],
        "incarnation": page["incarnation"],
        "acknowledged": 0,
        "up_to": 1,
        "has_more": false,
    });
    ensure_eq!(page, expected);
    ensure_time(expires_at)?;
    // The `ttl_seconds` is a day, so the message expires a day later at the same time of day.
    let (day, time) = receipt["sent_at"].as_str().unwrap_or_default().split_at(10);
    let (other_day, same_time) = expires_at.as_str().unwrap_or_default().split_at(10);
    ensure!(other_day > day && same_time == time, "the message was sent at {day}{time}, but expires at {expires_at}");
    Ok(())
}

pub(super) async fn every_device_of_every_recipient_gets_the_message(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let (bob, carol) = (client.account("bob").await?, client.account("carol").await?);
    let laptop = bob.another().await?;
    let first = alice.write_to(&[(&bob, "to bob"), (&carol, "to carol")]).await?;
    let second = alice.write_to(&[(&carol, "again to carol"), (&bob, "again to bob")]).await?;
    ensure!(first["id"] != second["id"], "both messages have the id {}", first["id"]);
    let third = alice.write(&carol, "carol alone").await?;
    // A new device receives only messages that are sent after its first login.
    let phone = bob.another().await?;
    let fourth = alice.write(&bob, "to all of bob").await?;

    let of_bob = vec![(1, &first, "to bob"), (2, &second, "again to bob"), (3, &fourth, "to all of bob")];
    let of_carol = vec![(1, &first, "to carol"), (2, &second, "again to carol"), (3, &third, "carol alone")];
    let of_phone = vec![(1, &fourth, "to all of bob")];
    for (device, expected) in [(&bob, &of_bob), (&laptop, &of_bob), (&carol, &of_carol), (&phone, &of_phone)] {
        let messages = device.messages().await?;
        ensure_eq!(messages.len(), expected.len());
        for (message, (sequence, receipt, contents)) in messages.iter().zip(expected) {
            let same = message["id"] == receipt["id"] && message["sent_at"] == receipt["sent_at"];
            ensure!(
                same && message["sequence"] == *sequence && message["contents"] == *contents,
                "unexpected message: {message}"
            );
        }
    }
    ensure_eq!(alice.messages().await?, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn a_user_may_send_to_itself(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let laptop = alice.another().await?;
    let receipt = alice.write(&laptop, "note to self").await?;
    for device in [&alice, &laptop] {
        let messages = device.messages().await?;
        ensure_eq!(contents(&messages), ["note to self"]);
        ensure_eq!(messages[0]["id"], receipt["id"]);
        ensure_eq!(messages[0]["sender_device_id"], alice.id);
    }
    Ok(())
}

pub(super) async fn a_send_reaches_all_recipients_or_none(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let nobody = client.name("nobody");
    for unknown in [nobody.as_str(), "no name at all!", "", "nul\0nul"] {
        for place in [0, 1, 2] {
            let mut body = message(&[(&bob, "lost"), (&alice, "lost")]);
            if let Some(recipients) = body["recipients"].as_array_mut() {
                recipients.insert(place, json!({ "username": unknown, "contents": "lost" }));
            }
            let refused = alice.post(MESSAGES, &body).await?;
            refused.expect_problem("recipient_not_found", &[if unknown == nobody { unknown } else { "" }])?;
        }
    }
    for device in [&alice, &bob] {
        let page = device.page("").await?;
        ensure_eq!((&page["messages"], &page["gaps"], &page["up_to"]), (&json!([]), &json!([]), &json!(0)));
    }
    alice.write(&bob, "not lost").await?;
    ensure_eq!(sequences(&bob.messages().await?), [1]);
    Ok(())
}

pub(super) async fn contents_are_delivered_byte_for_byte(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (longest, escaped) = ("x".repeat(64 * 1024), "\0".repeat(64 * 1024));
    let texts = [
        "",
        " ",
        "\0",
        "\u{1}\u{7f}\u{80}\u{FFFF}\u{10FFFF}",
        "\u{1F54A} é",
        "\"\\/\r\n\t\u{2028}",
        "{\"a\":1}",
        &longest,
        &escaped,
    ];
    for text in texts {
        alice.write(&bob, text).await?;
    }
    ensure!(contents(&bob.messages().await?) == texts, "the contents were changed");
    Ok(())
}

pub(super) async fn a_send_has_1_to_100_distinct_recipients(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let to = |name: &str| json!({ "username": name, "contents": "foo" });
    let many = |count| (0..count).map(|number| to(&client.name(&number.to_string()))).collect::<Vec<_>>();
    for recipients in [vec![], many(101)] {
        let refused = alice.post(MESSAGES, &json!({ "recipients": recipients })).await?;
        refused.expect_problem("invalid_request", &["recipients", "100"])?;
    }
    // 100 recipients are allowed, so the send fails only because no such users exist.
    let refused = alice.post(MESSAGES, &json!({ "recipients": many(100) })).await?;
    refused.expect_problem("recipient_not_found", &[])?;
    for spelling in [bob.name.clone(), bob.name.to_uppercase()] {
        let twice = [to(&bob.name), to(&alice.name), to(&spelling)];
        let refused = alice.post(MESSAGES, &json!({ "recipients": twice })).await?;
        refused.expect_problem("invalid_request", &["recipients"])?;
    }
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn a_missing_invalid_or_too_long_field_is_named(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let whole = message(&[(&bob, "foo")]);
    for field in ["username", "contents"] {
        let mut body = whole.clone();
        body["recipients"][0].as_object_mut().map(|to| to.remove(field));
        alice.post(MESSAGES, &body).await?.expect_problem("invalid_request", &[field])?;
        for wrong in [json!(7), json!(false), json!(["x"]), json!({"x": "y"}), Value::Null] {
            body["recipients"][0][field] = wrong;
            alice.post(MESSAGES, &body).await?.expect_problem("invalid_request", &[field])?;
        }
    }
    alice.post(MESSAGES, &json!({})).await?.expect_problem("invalid_request", &["recipients"])?;
    for wrong in [json!(7), json!("bob"), json!({}), json!(["bob"]), json!([[]]), Value::Null] {
        let refused = alice.post(MESSAGES, &json!({ "recipients": wrong })).await?;
        refused.expect_problem("invalid_request", &["recipients"])?;
    }
    let long = "x".repeat(64 * 1024 + 1);
    let refused = alice.post(MESSAGES, &message(&[(&bob, "short"), (&alice, &long)])).await?;
    refused.expect_problem("invalid_request", &["contents", "65536"])?;
    for wrong in
        [json!(0), json!(-1), json!(1.5), json!("60"), json!(i64::MAX), json!(u64::MAX), json!(1e300), json!([])]
    {
        let mut body = whole.clone();
        body["ttl_seconds"] = wrong;
        alice.post(MESSAGES, &body).await?.expect_problem("invalid_request", &["ttl_seconds"])?;
    }
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);
    Ok(())
}
