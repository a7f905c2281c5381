use anyhow::ensure;

use super::sending;
use crate::bench::figure::Figure;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// Measures sends before and after many users are added in one transaction. The second measurement starts before the
/// database has updated the statistics of its tables, so it shows whether sends are slow with outdated statistics.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    ensure!(
        stage.target.is_fresh(),
        "the workload users writes to the database directly, so it needs a fresh server: omit --url"
    );
    let (users, added) = (stage.args.users, stage.args.added_users);
    let recipients = stage.accounts(users, 1).await?;
    let mut senders = sending::clients(stage, clients, &recipients, 1).await?;
    let mut samples = Vec::new();
    for variant in ["before".to_owned(), format!("{added} users added")] {
        if !samples.is_empty() {
            stage.accounts(added, 1).await?;
        }
        let (measured, same) = sending::measure(stage, senders).await?;
        senders = same;
        let subject = Subject::new("users", variant, "sends", "from a send to its response");
        let subject = subject.clients(clients).storing(1);
        let sample = Sample::new(subject, measured.operations, &measured.usage, measured.latencies);
        samples.push(sample.with(Figure::PeakMemory, stage.target.peak_memory()));
    }
    stage.check(&recipients).await?;
    Ok(samples)
}
