use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Minimum time between two updates of the line that shows the progress.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line on standard error that shows the progress. Shows nothing if standard error is not a terminal.
pub(super) struct Progress {
    shown: bool,
    steps: usize,
    done: Cell<usize>,
    written: Cell<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(steps: usize) -> Self {
        let shown = std::io::stderr().is_terminal();
        Self { shown, steps, done: Cell::new(0), written: Cell::new(None) }
    }

    /// Counts one more measurement, and shows its description `what`.
    pub(super) fn step(&self, what: &str) {
        self.done.set(self.done.get() + 1);
        if self.shown && self.written.get().is_none_or(|written| written.elapsed() > INTERVAL) {
            self.written.set(Some(Instant::now()));
            let mut stderr = std::io::stderr().lock();
            // Ignores errors, so that the benchmark continues if the terminal is closed.
            let _ = write!(stderr, "\r\x1b[K{} of {}: {what}", self.done.get(), self.steps);
            let _ = stderr.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
