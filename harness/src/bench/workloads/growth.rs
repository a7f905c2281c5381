use super::receive::{drain, fill};
use super::sending;
use crate::bench::figure::Figure;
use crate::bench::measure::Meter;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// Number of mailboxes that store more and more messages during the workload.
const ARCHIVE: usize = 100;
/// Number of measurements with stored messages. Before them, one measurement runs without stored messages.
const STEPS: u64 = 4;
const FILLERS: usize = 8;

/// Repeats two measurements: sends, then reads with acknowledgements. Before each repetition, more messages are stored
/// in mailboxes that the measured clients do not use. The reads cover all messages that the measured sends have stored,
/// so the measurements do not change the number of stored messages.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let archive = stage.accounts(u32::try_from(ARCHIVE)?, 1).await?;
    let recipients = stage.accounts(stage.args.users, 1).await?;
    let mut readers = stage.readers(&recipients).await?;
    let mut fillers = stage.senders(FILLERS).await?;
    let mut senders = sending::clients(stage, clients, &recipients, 1).await?;
    let (mut stored, mut samples) = (0, Vec::new());
    for step in 0..=STEPS {
        let goal = stage.args.stored * step / STEPS;
        let sends = (goal - stored).div_ceil(ARCHIVE as u64);
        fill(&mut fillers, (0..sends).map(|_| archive.as_slice())).await?;
        stored += sends * ARCHIVE as u64;
        stage.target.reset_peak_memory();

        let (measured, same) = sending::measure(stage, senders).await?;
        senders = same;
        let variant = format!("sends with {goal} stored");
        let subject = Subject::new("growth", variant, "sends", "from a send to its response");
        let subject = subject.clients(clients).storing(1).stored(goal);
        let sends = Sample::new(subject, measured.operations, &measured.usage, measured.latencies);

        let pending: usize = readers.iter().map(crate::bench::reader::Reader::pending).sum();
        let meter = Meter::start(&stage.target);
        let latencies = drain(&mut readers, clients).await?;
        let variant = format!("reads with {goal} stored");
        let subject = Subject::new("growth", variant, "messages", "of reading and acknowledging a page of 100");
        let subject = subject.clients(clients).stored(goal);
        let reads = Sample::new(subject, pending as u64, &meter.stop(), latencies);
        samples.extend([sends.with(Figure::PeakMemory, stage.target.peak_memory()), reads]);
    }
    stage.check(&archive).await?;
    Ok(samples)
}
