use super::sending;
use crate::bench::figure::Figure;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// Maximum number of recipients of a send.
const RECIPIENTS: usize = 100;
const DEVICES: u32 = 10;

/// Measures sends that have 100 recipients each, then sends that have one recipient with ten devices.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let users = stage.args.users;
    let at_once = RECIPIENTS.min(users as usize);
    let few = users.div_ceil(DEVICES);
    Ok(vec![
        measure(stage, clients, &format!("{at_once} recipients"), (users, 1), at_once).await?,
        measure(stage, clients, &format!("{DEVICES} devices"), (few, DEVICES), 1).await?,
    ])
}

/// Adds `users` users with `devices` devices each, and measures sends. Each send has `at_once` of these users as
/// recipients.
async fn measure(
    stage: &Stage,
    clients: usize,
    variant: &str,
    (users, devices): (u32, u32),
    at_once: usize,
) -> anyhow::Result<Sample> {
    let recipients = stage.accounts(users, devices).await?;
    let subject = Subject::new("fan-out", variant, "sends", "from a send to its response");
    let subject = subject.clients(clients).storing(at_once * devices as usize);
    let senders = sending::clients(stage, clients, &recipients, at_once).await?;
    stage.target.reset_peak_memory();
    let (measured, _) = sending::measure(stage, senders).await?;
    let sample = Sample::new(subject, measured.operations, &measured.usage, measured.latencies)
        .with(Figure::PeakMemory, stage.target.peak_memory());
    stage.check(&recipients).await?;
    Ok(sample)
}
