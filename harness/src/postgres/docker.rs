use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::time::timeout;

use super::local::{FAST, wait_until_it_answers};

/// The image of the server.
const IMAGE: (&str, &str) = ("postgres", "17");
/// How long the engine may take, the pulling of the image included.
const LIMIT: Duration = Duration::from_secs(180);

/// Starts the server as the image does, and ends it once no harness has been connected for a while: also where the one
/// that started it was killed. The engine removes the container then.
const SCRIPT: &str = r#"
docker-entrypoint.sh postgres "$@" & server=$!
sessions="SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'woosh-harness-%'"
absent=0
while kill -0 "$server" 2>/dev/null && [ "$absent" -lt 20 ]; do
    sleep 1
    if [ "$(psql -U woosh -d postgres -Atc "$sessions" 2>/dev/null)" = 0 ]; then absent=$((absent + 1)); else absent=0; fi
done
kill -INT "$server" 2>/dev/null
wait "$server"
"#;

/// A server in a container of its own, which goes with this value.
pub(super) struct Container {
    _container: ContainerAsync<GenericImage>,
    host: String,
    port: u16,
}

impl Container {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let image = GenericImage::new(IMAGE.0, IMAGE.1).with_entrypoint("sh").with_exposed_port(5432.tcp());
        let arguments = ["-c", SCRIPT, "sh"].into_iter().chain(FAST);
        let request = image
            .with_cmd(arguments)
            .with_env_var("POSTGRES_USER", "woosh")
            .with_env_var("POSTGRES_DB", "postgres")
            .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
            .with_host_config_modifier(|config| config.auto_remove = Some(true))
            .with_startup_timeout(LIMIT);
        let container = timeout(LIMIT, request.start()).await.context("the engine took too long")??;
        let host = container.get_host().await?.to_string();
        let port = container.get_host_port_ipv4(5432).await?;
        let server = Self { _container: container, host, port };
        wait_until_it_answers(&server.admin(), || Ok(())).await?;
        Ok(server)
    }

    /// How to connect to it as its owner.
    pub(super) fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().host(&self.host).port(self.port).username("woosh").database("postgres")
    }
}
