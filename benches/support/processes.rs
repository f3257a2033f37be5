//! One benchmark as several processes.

use std::{
    collections::BTreeMap,
    env,
    io::{IsTerminal as _, Write as _},
    process::{Command, Stdio},
};

use super::statistics::median;

const ROLE: &str = "NOTION_AUTH_BENCH_ROLE";
const REPEATS: &str = "NOTION_AUTH_BENCH_PROCESSES";

/// What this process was started for; `None` in the one that the user started.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// What starts this program in that role.
pub(crate) fn command(role: &str) -> Command {
    let program = env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.env(ROLE, role);
    command
}

/// Tells the process that started this one what was measured.
pub(crate) fn report(name: &str, value: f64) {
    println!("{name}\t{value}");
}

/// How many processes decide: 11, or what the environment says.
pub(crate) fn repeats() -> usize {
    env::var(REPEATS)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(11)
}

/// What processes have reported, by name.
#[derive(Debug, Default)]
pub(crate) struct Reports(BTreeMap<String, Vec<f64>>);

/// Runs this program `repeats` times in that role, one after the other.
pub(crate) fn run(role: &str, repeats: usize) -> Reports {
    let mut reports = Reports::default();
    for number in 1..=repeats {
        show_progress(role, number, repeats);
        let output = command(role)
            .stderr(Stdio::inherit())
            .output()
            .expect("this program can be started");
        assert!(output.status.success(), "a process of the benchmark failed");
        reports.read(&String::from_utf8_lossy(&output.stdout));
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    reports
}

/// On a terminal one line that changes; in a log, a line for the first.
fn show_progress(role: &str, number: usize, of: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{role}: process {number} of {of}");
    } else if number == 1 {
        let _ = writeln!(stderr, "{role}: {of} processes");
    }
}

impl Reports {
    pub(crate) fn read(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((name, value)) = line.split_once('\t') {
                let value = value.parse().expect("a report is a number");
                self.0.entry(name.to_owned()).or_default().push(value);
            }
        }
    }

    /// The median of what the processes reported under that name.
    pub(crate) fn median(&self, name: &str) -> f64 {
        median(self.of(name))
    }

    pub(crate) fn of(&self, name: &str) -> impl Iterator<Item = f64> {
        let values = self.0.get(name);
        values
            .unwrap_or_else(|| panic!("nothing was reported under {name:?}"))
            .iter()
            .copied()
    }
}

/// The profile that this program was built in, by the folder that it lies in.
pub(crate) fn profile() -> &'static str {
    let path = env::current_exe().expect("the path of this program");
    let is_lto = path.components().any(|it| it.as_os_str() == "bench-lto");
    if is_lto { "LTO" } else { "default" }
}
