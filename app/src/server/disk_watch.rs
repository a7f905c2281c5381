//! Watches the free space of the disk in the background.

use std::sync::Arc;
use std::time::Duration;

use woosh_domain::ports::{FreeSpace, PortError};
use woosh_domain::use_cases::DiskChange;

use crate::logging::causes;
use crate::services::Services;

/// Interval between two looks at the disk. Sends can fill it by what they write in this time before they are refused.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the disk periodically, and logs each change.
pub(super) struct DiskWatch {
    services: Arc<Services>,
    failing: bool,
}

impl DiskWatch {
    /// Looks at the disk for the first time, so that not even the first request fills it.
    pub(super) async fn start(services: Arc<Services>) -> Self {
        let mut watch = Self { services, failing: false };
        watch.look().await;
        watch
    }

    /// Runs until it is cancelled.
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

    /// Logs the first of consecutive failures.
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
