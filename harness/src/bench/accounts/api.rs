use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Credentials;
use crate::client::Device;

/// Number of users that are registered concurrently.
const AT_A_TIME: usize = 4;

/// Registers users through the API, and logs them in on each of their devices.
pub(in crate::bench) async fn register(
    url: &str,
    prefix: &str,
    users: u32,
    devices: u32,
) -> anyhow::Result<Vec<Credentials>> {
    let registering = (1..=users).map(async |number| {
        let first = Device::register(url, &format!("{prefix}{number}")).await?;
        let mut tokens = vec![first.token.clone()];
        for _ in 1..devices {
            tokens.push(first.another().await?.token);
        }
        anyhow::Ok((first.name, tokens))
    });
    stream::iter(registering).buffered(AT_A_TIME).try_collect().await.context("can't register users")
}
