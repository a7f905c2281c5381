//! Watches the free space of the disk in the background.

use std::sync::Arc;
use std::time::Duration;

use woosh_domain::ports::{FreeSpace, PortError};
use woosh_domain::use_cases::DiskChange;

use crate::logging::causes;
use crate::services::Services;

/// Time between two checks of the free space. If space becomes low, sends are still accepted until the next check.
const INTERVAL: Duration = Duration::from_secs(1);

/// Checks the free space of the disk periodically. Logs when space becomes low, and when there is enough space again.
pub(super) struct DiskWatch {
    services: Arc<Services>,
    failing: bool,
}

impl DiskWatch {
    /// Checks the free space before the server accepts requests, so that even the first request is refused if space is
    /// low.
    pub(super) async fn start(services: Arc<Services>) -> Self {
        let mut watch = Self { services, failing: false };
        watch.look().await;
        watch
    }

    /// Checks the free space every [`INTERVAL`], until the task is cancelled.
    pub(super) async fn run(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let looked = self.services.watch_disk.execute().await;
        self.log_failure(looked.as_ref().err());
        match looked {
            Ok(Some(DiskChange::Low(space))) => tracing::warn!(
                "low disk space ({}): requests that store something new get 507 until more than --min-free-space is free; \
                 messages can be read, acknowledged and deleted",
                describe(space)
            ),
            Ok(Some(DiskChange::Enough(space))) => {
                tracing::info!("enough disk space again ({}): requests are accepted", describe(space));
            }
            Ok(None) | Err(_) => {}
        }
    }

    /// Logs that a check failed, unless the previous check failed, too.
    fn log_failure(&mut self, error: Option<&PortError>) {
        if let Some(error) = error.filter(|_| !self.failing) {
            tracing::warn!(%error, causes = causes(error), "can't watch the free disk space");
        }
        self.failing = error.is_some();
    }
}

fn describe(space: FreeSpace) -> String {
    const MIB: u64 = 1024 * 1024;
    format!("{} MiB free on the disk, {} MiB in the database file", space.on_disk / MIB, space.in_files / MIB)
}
