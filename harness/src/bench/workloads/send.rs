use super::sending;
use crate::bench::figure::Figure;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// Measures sends to users whose devices are offline, to one user after another.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let recipients = stage.accounts(stage.args.users, 1).await?;
    let subject = Subject::new("send", "", "sends", "from a send to its response").clients(clients).storing(1);
    let senders = sending::clients(stage, clients, &recipients, 1).await?;
    let (measured, _) = sending::measure(stage, senders).await?;
    let sample = Sample::new(subject, measured.operations, &measured.usage, measured.latencies)
        .with(Figure::PeakMemory, stage.target.peak_memory());
    stage.check(&recipients).await?;
    Ok(vec![sample])
}
