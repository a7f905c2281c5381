use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::bench::accounts::Account;
use crate::bench::figure::Figure;
use crate::bench::measure::Meter;
use crate::bench::reader::Reader;
use crate::bench::sample::{Sample, Subject};
use crate::bench::sender::Sender;
use crate::bench::stage::Stage;

/// The pause before each send, during which the reader starts to wait.
const PAUSE: Duration = Duration::from_millis(10);
/// Maximum time that a long poll waits for a message, in seconds.
const WAIT: u64 = 20;
/// Number of round trips before the measurement.
const WARM_UP: usize = 20;

/// Measures how long a message takes to reach a waiting reader on an otherwise idle server: first by long poll, then by
/// event stream.
pub(in crate::bench) async fn run(stage: &Stage) -> anyhow::Result<Vec<Sample>> {
    Ok(vec![measure(stage, "long poll", false).await?, measure(stage, "stream", true).await?])
}

async fn measure(stage: &Stage, variant: &str, streams: bool) -> anyhow::Result<Sample> {
    let account = stage.accounts(1, 1).await?;
    let mut reader = stage.reader(&account[0].devices[0]).await?;
    let mut sender = stage.senders(1).await?.remove(0);
    let mut stream = if streams { Some(reader.open_stream().await?) } else { None };
    let mut meter = Meter::start(&stage.target);
    let mut start = Instant::now();
    let mut count: usize = 0;
    stage.target.reset_peak_memory();
    while count <= WARM_UP || start.elapsed().as_secs_f64() < stage.seconds() {
        if count == WARM_UP {
            reader.take_latencies();
            meter = Meter::start(&stage.target);
            start = Instant::now();
        }
        let receive = async {
            match &mut stream {
                Some(stream) => reader.next(stream).await,
                None => receive_by_poll(&mut reader).await,
            }
        };
        tokio::try_join!(receive, send(&mut sender, &account))?;
        count += 1;
    }
    let (usage, latencies) = (meter.stop(), reader.take_latencies());
    let subject = Subject::new("roundtrip", variant, "round trips", "from a send to the arrival of its message");
    let sample = Sample::new(subject, latencies.len() as u64, &usage, latencies);
    let sample = sample.with(Figure::PeakMemory, stage.target.peak_memory());
    reader.ensure_complete()?;
    reader.acknowledge().await?;
    Ok(sample)
}

async fn send(sender: &mut Sender, recipient: &[Rc<Account>]) -> anyhow::Result<()> {
    sleep(PAUSE).await;
    sender.send(recipient).await
}

async fn receive_by_poll(reader: &mut Reader) -> anyhow::Result<()> {
    let received = reader.read(100, WAIT).await?;
    anyhow::ensure!(received > 0, "a poll that waits {WAIT} seconds returned without the message that was sent");
    Ok(())
}
