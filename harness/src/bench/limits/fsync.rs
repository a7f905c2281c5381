use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::bench::args::BenchArgs;
use crate::bench::measure::{Meter, Processes};
use crate::bench::sample::{Sample, Subject};
use crate::temp_folder::TempFolder;
use crate::{Backend, postgres};

/// The bytes that are appended to the file before each sync: a page of 4 KiB.
const PAGE: [u8; 4096] = [7; 4096];
const LIMIT: Duration = Duration::from_secs(1);

/// Measures how fast a disk of this machine syncs: appends a page to a file and syncs the file, again and again, in the
/// folder where databases are created. Returns `None` if the database is not on a disk of this machine.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<Option<Sample>> {
    if args.backend == Backend::Postgres && !postgres::is_local() {
        return Ok(None);
    }
    let folder = TempFolder::new().context("can't create a folder")?;
    let mut file = std::fs::File::create(folder.path().join("fsync"))?;
    let (meter, start, mut latencies) = (Meter::of(Processes::default()), Instant::now(), Vec::new());
    while start.elapsed() < LIMIT {
        let started = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    let subject = Subject::new("limit: fsync", "", "fsyncs", "of appending 4 KiB and a sync").without_pause();
    Ok(Some(Sample::bare(subject, latencies.len() as u64, &meter.stop(), latencies)))
}
