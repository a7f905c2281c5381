use anyhow::ensure;
use serde_json::json;

use crate::client::{Client, Device, contents};
use crate::sanity::ensure_eq;

pub(super) async fn users_of_both_apis_exchange_messages(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("Alice").await?, client.account("Bob").await?);
    let sent = alice.write_to(&bob.name, "from the classic one").await?;
    let received = bob.messages().await?;
    ensure_eq!(contents(&received), ["from the classic one"]);
    ensure_eq!((&received[0]["id"], &received[0]["sender"]), (&sent["id"], &json!(alice.name)));

    let to_alice = json!({ "recipients": [{ "username": alice.name, "contents": "and back" }] });
    let receipt = bob.post("/v1/messages", &to_alice).await?.expect(201)?;
    let (received, _) = alice.poll().await?;
    let expected = json!({
        "id": receipt["id"],
        "from_user": bob.name,
        "to_user": alice.name,
        "contents": "and back",
        "sent_at": received[0]["sent_at"],
    });
    ensure_eq!(received, [expected]);
    Ok(())
}

pub(super) async fn the_classic_api_reads_the_first_device_of_a_v1_user(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (laptop, classic) = (bob.another().await?, bob.classic());
    ensure_eq!(classic.get("/users/me").await?.expect(200)?, bob.get("/v1/users/me").await?.expect(200)?);
    alice.write(&bob, "one").await?;
    let (polled, query_time) = classic.poll_until_old(1).await?;
    alice.write(&bob, "two").await?;
    let read = bob.messages().await?;
    ensure_eq!(contents(&polled), ["one"]);
    ensure_eq!(contents(&read), ["one", "two"]);
    ensure_eq!(polled[0]["id"], read[0]["id"]);

    // A deletion through the classic API acknowledges messages of the first device, and of no other device.
    ensure_eq!(classic.delete_until(query_time).await?, 1);
    ensure_eq!(bob.page("").await?["acknowledged"], 1);
    ensure_eq!(contents(&bob.messages().await?), ["two"]);
    ensure_eq!(contents(&laptop.messages().await?), ["one", "two"]);
    // An acknowledgement of the first device through v1 deletes the message for the classic API, too.
    bob.acknowledge(2).await?;
    ensure_eq!(classic.poll().await?.0.len(), 0);
    Ok(())
}

pub(super) async fn a_classic_user_logs_in_to_v1(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.account("bob").await?);
    bob.classic().write(&alice, "before").await?;
    let login = json!({ "username": alice.name, "password": alice.password });
    let laptop = client.log_in(&login).await?;
    ensure_eq!(laptop.user_id, alice.id);
    ensure_eq!(laptop.get("/v1/users/me").await?.expect(200)?, alice.get("/users/me").await?.expect(200)?);
    ensure_eq!(laptop.messages().await?.len(), 0);
    bob.write(&laptop, "after").await?;
    ensure_eq!(contents(&laptop.messages().await?), ["after"]);
    ensure_eq!(contents(&alice.poll().await?.0), ["before", "after"]);

    // A login through v1 can use the first device, whose mailbox the classic API reads.
    let first = first_device(&laptop).await?;
    ensure!(first.id != laptop.id, "the user has no first device");
    ensure_eq!(contents(&first.messages().await?), ["before", "after"]);
    first.acknowledge(1).await?;
    ensure_eq!(contents(&alice.poll().await?.0), ["after"]);
    Ok(())
}

pub(super) async fn a_profile_change_in_one_api_is_visible_in_the_other(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let classic = alice.classic();
    let before = alice.get("/v1/users/me").await?;
    classic.post("/users/me", &json!({ "info": "from the classic one" })).await?.expect(200)?;
    let after = alice.get("/v1/users/me").await?;
    ensure_eq!(after.expect(200)?["info"], "from the classic one");
    ensure!(after.headers.get("etag") != before.headers.get("etag"), "the version did not change");
    alice.patch("/v1/users/me", &json!({ "public_key": "k", "info": "and back" })).await?.expect(200)?;
    let changed = classic.get("/users/me").await?.expect(200)?;
    ensure_eq!((&changed["public_key"], &changed["info"]), (&json!("k"), &json!("and back")));
    Ok(())
}

/// Logs in on the oldest device of the user who owns the device `asking`.
async fn first_device(asking: &Device) -> anyhow::Result<Device> {
    let listed = asking.get("/v1/devices").await?.expect(200)?;
    let mut login = asking.login();
    login["device_id"] = listed["devices"][0]["id"].clone();
    asking.client.log_in(&login).await
}
