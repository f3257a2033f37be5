//! Progress of long runs: a bar on a terminal, otherwise a line once per minute.

use std::{
    io::{self, IsTerminal as _},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Long enough that an ordinary run prints nothing.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

pub(crate) struct Progress {
    bar: ProgressBar,
    unit: &'static str,
    next_line: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn of(total: u64, unit: &'static str) -> Self {
        let template = format!("{{wide_bar}} {{pos}} of {{len}} {unit}, {{msg}}, {{eta}} to go");
        let style = ProgressStyle::with_template(&template).expect("a template");
        let hidden = ProgressDrawTarget::hidden();
        Self {
            bar: ProgressBar::with_draw_target(Some(total), hidden).with_style(style),
            unit,
            next_line: Mutex::new(Instant::now() + BETWEEN_LINES),
        }
    }

    /// Shows how much is done. `note` describes the result so far.
    pub(crate) fn show(&self, done: u64, note: String) {
        self.bar.set_position(done);
        let mut next_line = self.next_line.lock().expect("nobody panics here");
        if Instant::now() < *next_line {
            return;
        }
        if io::stderr().is_terminal() {
            self.bar.set_message(note);
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        } else {
            *next_line = Instant::now() + BETWEEN_LINES;
            let total = self.bar.length().unwrap_or_default();
            eprintln!("{done} of {total} {}, {note}", self.unit);
        }
    }
}
