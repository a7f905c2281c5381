use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::client::{Client, Device, contents, sequences};
use crate::sanity::ensure_eq;

use super::times::ensure_time;

pub(super) async fn the_list_contains_each_device_and_marks_the_current_one(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let mut login = alice.login();
    login["device_name"] = json!("laptop");
    let devices = [(alice.clone(), ""), (client.log_in(&login).await?, "laptop")];
    for (asking, _) in &devices {
        let listed = list(asking).await?;
        ensure_eq!(listed.len(), devices.len());
        for ((device, name), listed) in devices.iter().zip(listed) {
            ensure_time(&listed["created_at"])?;
            let expected = json!({
                "id": device.id,
                "name": name,
                "created_at": listed["created_at"],
                "current": device.id == asking.id,
            });
            ensure_eq!(listed, expected);
        }
    }
    Ok(())
}

pub(super) async fn deleting_a_device_deletes_its_sessions_and_mailbox(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = alice.another().await?;
    let again = laptop.again().await?;
    bob.write(&alice, "one").await?;
    for session in [&laptop, &again] {
        session.ensure_alive().await?;
    }
    alice.delete(&format!("/v1/devices/{}", laptop.id)).await?.expect_no_content()?;
    laptop.ensure_ended().await?;
    again.ensure_ended().await?;
    ensure_eq!(list(&alice).await?.len(), 1);
    let sessions = alice.get("/v1/sessions").await?.expect(200)?;
    ensure_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));

    bob.write(&alice, "two").await?;
    ensure_eq!(contents(&alice.messages().await?), ["one", "two"]);
    let mut login = alice.login();
    login["device_id"] = json!(laptop.id);
    let new = client.log_in(&login).await?;
    ensure!(new.id != laptop.id, "the login used the deleted device {}", new.id);
    ensure_eq!(new.messages().await?, [Value::Null; 0]);
    bob.write(&alice, "three").await?;
    ensure_eq!(sequences(&new.messages().await?), [1]);
    Ok(())
}

pub(super) async fn a_device_can_delete_itself_unless_it_is_the_last(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let path = format!("/v1/devices/{}", alice.id);
    alice.delete(&path).await?.expect_problem("last_device", &[])?;
    alice.ensure_alive().await?;
    let laptop = alice.another().await?;
    alice.delete(&path).await?.expect_no_content()?;
    alice.ensure_ended().await?;
    let last = laptop.delete(&format!("/v1/devices/{}", laptop.id)).await?;
    last.expect_problem("last_device", &[])?;
    laptop.ensure_alive().await
}

pub(super) async fn two_devices_that_delete_each_other_leave_one(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let laptop = alice.another().await?;
    let (one, two) = (format!("/v1/devices/{}", alice.id), format!("/v1/devices/{}", laptop.id));
    let (of_laptop, of_alice) = tokio::try_join!(alice.delete(&two), laptop.delete(&one))?;
    let left = match (of_laptop.status.as_u16(), of_alice.status.as_u16()) {
        (204, 401 | 409) => &alice,
        (401 | 409, 204) => &laptop,
        statuses => anyhow::bail!("expected one deletion with 204 and one with 401 or 409, got {statuses:?}"),
    };
    ensure_eq!(list(left).await?.len(), 1);
    Ok(())
}

pub(super) async fn an_unknown_device_is_not_found(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let laptop = alice.another().await?;
    let path = format!("/v1/devices/{}", laptop.id);
    alice.delete(&path).await?.expect_no_content()?;
    for path in [path.as_str(), "/v1/devices/0", "/v1/devices/-1", "/v1/devices/9223372036854775807"] {
        alice.delete(path).await?.expect_problem("device_not_found", &[])?;
    }
    alice.ensure_alive().await
}

pub(super) async fn a_user_has_at_most_32_devices(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let login = alice.login();
    let logins = (0..40).map(|_| client.post("/v1/sessions", &login));
    let (made, refused): (Vec<_>, Vec<_>) =
        try_join_all(logins).await?.into_iter().partition(|answer| answer.status == 201);
    ensure_eq!(made.len(), 31);
    refused.iter().try_for_each(|answer| answer.expect_problem("too_many_devices", &["32"]))?;
    ensure_eq!(list(&alice).await?.len(), 32);

    ensure_eq!(alice.again().await?.id, alice.id);
    let one = made[0].expect(201)?["device"]["id"].clone();
    alice.delete(&format!("/v1/devices/{one}")).await?.expect_no_content()?;
    alice.another().await?;
    client.post("/v1/sessions", &login).await?.expect_problem("too_many_devices", &["32"])
}

/// Lists the devices of the user who owns the device `asking`, oldest first.
async fn list(asking: &Device) -> anyhow::Result<Vec<Value>> {
    let answer = asking.get("/v1/devices").await?.expect(200)?;
    Ok(answer["devices"].as_array().context("devices is not an array")?.clone())
}
