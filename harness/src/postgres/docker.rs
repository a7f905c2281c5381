use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::time::timeout;

use super::durability::Durability;
use super::local::wait_until_ready;

/// The environment variable that names the Docker image of Postgres, as `NAME:TAG`.
const IMAGE_VARIABLE: &str = "WOOSH_TEST_POSTGRES_IMAGE";
const DEFAULT_IMAGE: &str = "postgres:17";
/// Maximum time for Docker to pull the image and start a container.
const LIMIT: Duration = Duration::from_secs(180);

/// The shell script that runs in the container. The script starts Postgres. If no harness is connected for 20 seconds,
/// the script stops Postgres, so that the container does not outlive a killed harness. When the script ends, Docker
/// removes the container.
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

/// A Postgres server in a Docker container. Dropping this value removes the container.
///
/// The image is `postgres:17`, unless the environment variable `WOOSH_TEST_POSTGRES_IMAGE` names another image as
/// `NAME:TAG`. A name without a tag means the tag `latest`.
pub(super) struct Container {
    _container: ContainerAsync<GenericImage>,
    host: String,
    port: u16,
}

impl Container {
    pub(super) async fn start(durability: Durability) -> anyhow::Result<Self> {
        let image = std::env::var(IMAGE_VARIABLE).ok().filter(|image| !image.is_empty());
        let (name, tag) = name_and_tag(image.as_deref().unwrap_or(DEFAULT_IMAGE));
        let image = GenericImage::new(name, tag).with_entrypoint("sh").with_exposed_port(5432.tcp());
        let arguments = ["-c", SCRIPT, "sh"].into_iter().chain(durability.arguments().iter().copied());
        let request = image
            .with_cmd(arguments)
            .with_env_var("POSTGRES_USER", "woosh")
            .with_env_var("POSTGRES_DB", "postgres")
            .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
            .with_host_config_modifier(|config| config.auto_remove = Some(true))
            .with_startup_timeout(LIMIT);
        let container =
            timeout(LIMIT, request.start()).await.context("Docker did not start a container within 180 seconds")??;
        let host = container.get_host().await?.to_string();
        let port = container.get_host_port_ipv4(5432).await?;
        let server = Self { _container: container, host, port };
        wait_until_ready(&server.admin(), || Ok(())).await?;
        Ok(server)
    }

    /// Returns the options to connect to the server as the Postgres superuser.
    pub(super) fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().host(&self.host).port(self.port).username("woosh").database("postgres")
    }
}

/// Splits the name of an image into name and tag. If a slash follows the colon, the colon belongs to the port of a
/// registry, as in `localhost:5000/postgres`.
fn name_and_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_image_is_split_at_its_tag() {
        assert_eq!(name_and_tag("postgres:17"), ("postgres", "17"));
        assert_eq!(name_and_tag("registry:5000/postgres:17"), ("registry:5000/postgres", "17"));
        assert_eq!(name_and_tag("registry:5000/postgres"), ("registry:5000/postgres", "latest"));
    }
}
