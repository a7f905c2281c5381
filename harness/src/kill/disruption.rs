use rustix::process::Signal;
use tokio::time::sleep;

use crate::Backend;
use crate::deployment::Deployment;
use crate::load::Choices;

/// A fault other than a kill. A kill run injects such faults between the kills.
#[derive(Debug, Clone, Copy)]
pub(super) enum Disruption {
    Stop,
    RemoveFile,
    EndConnections,
    Silence,
    Cut,
    CrashPostgres,
}

impl Disruption {
    /// Returns a random fault.
    pub(super) fn choose(backend: Backend, choices: &mut Choices) -> Self {
        let possible: &[Self] = match backend {
            Backend::Sqlite => &[Self::Stop, Self::RemoveFile],
            // The servers do not serve for seconds after a silence, so it is rare.
            Backend::Postgres if choices.chance(95) => {
                &[Self::Stop, Self::EndConnections, Self::Cut, Self::CrashPostgres]
            }
            Backend::Postgres => &[Self::Silence],
        };
        possible[choices.index(possible.len())]
    }

    /// Injects the fault, and ends it after a random time of up to two seconds, or up to 16 seconds for
    /// [`Self::Silence`].
    pub(super) async fn inject(self, deployment: &Deployment, choices: &mut Choices) -> anyhow::Result<()> {
        let hold = choices.micros(0..2_000_000);
        match self {
            Self::Stop => {
                let server = &deployment.servers[choices.index(deployment.servers.len())];
                server.signal(Signal::STOP)?;
                sleep(hold).await;
                server.signal(Signal::CONT)
            }
            Self::RemoveFile => {
                deployment.remove_file(None)?;
                sleep(hold).await;
                deployment.put_file_back()
            }
            Self::EndConnections => deployment.end_connections().await,
            Self::Silence => {
                deployment.network()?.silence();
                // Until the servers use other connections.
                sleep(hold * 8).await;
                Ok(())
            }
            Self::Cut => {
                let network = deployment.network()?;
                network.cut().await;
                sleep(hold).await;
                network.restore();
                Ok(())
            }
            Self::CrashPostgres => {
                let postgres = deployment.own_postgres()?;
                postgres.crash()?;
                sleep(hold).await;
                postgres.start_again()?;
                // The next fault needs a server that runs.
                deployment.run_sql("SELECT 1").await
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stopped servers",
            Self::RemoveFile => "removed files",
            Self::EndConnections => "ended connections",
            Self::Silence => "silences",
            Self::Cut => "cut networks",
            Self::CrashPostgres => "crashes of Postgres",
        }
    }
}
