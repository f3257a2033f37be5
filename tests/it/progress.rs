//! Progress of long runs: a line every minute, so that an ordinary run prints none.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

const BETWEEN_LINES: Duration = Duration::from_secs(60);

pub(crate) struct Progress {
    total: u64,
    unit: &'static str,
    next_line: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn of(total: u64, unit: &'static str) -> Self {
        Self {
            total,
            unit,
            next_line: Mutex::new(Instant::now() + BETWEEN_LINES),
        }
    }

    /// Prints how much is done, with this note, if the last line is a minute old.
    pub(crate) fn show(&self, done: u64, note: &str) {
        let mut next_line = self.next_line.lock().expect("no other thread panicked");
        if Instant::now() < *next_line {
            return;
        }
        *next_line = Instant::now() + BETWEEN_LINES;
        eprintln!("{done} of {} {}, {note}", self.total, self.unit);
    }
}
