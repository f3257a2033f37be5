//! Common parts of the benchmarks: repeated processes, interleaved cases, requests, and tables.
//!
//! The same case can be 20 % faster or slower depending on the addresses of a process's code and heap. A
//! benchmark therefore starts itself several times and takes the median over these processes. Within one
//! process, all cases run in turn, and a ratio is that of two cases in the same round.

// Each benchmark uses only a part of this module.
#![allow(dead_code, unused_imports, reason = "shared by several benchmarks")]

mod cases;
mod output;
mod requests;

use std::{
    collections::BTreeMap,
    env,
    process::{Command, ExitCode, Stdio},
};

pub(crate) use {cases::*, output::*, requests::*};

const ROLE: &str = "NOTION_AUTH_BENCH_ROLE";
const REPEATS: &str = "NOTION_AUTH_BENCH_PROCESSES";

/// A part of a benchmark: its name, the number of measuring processes, the measurement, and a function that
/// prints the reports and checks the goals.
type Part<'a> = (&'a str, Processes, fn(), &'a dyn Fn(&Reports, &mut Goals));

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processes {
    One,
    Several,
}

/// Entry point of a benchmark: runs all parts, or those named by the arguments. A child process runs one
/// measurement.
pub(crate) fn main(parts: &[Part<'_>]) -> ExitCode {
    if let Some(role) = role() {
        let part = parts.iter().find(|(name, ..)| *name == role);
        let (_, _, measure, _) = part.expect("a part");
        measure();
        return ExitCode::SUCCESS;
    }
    let (profile, repeats) = (profile(), repeats());
    println!("Profile: {profile}. Medians of {repeats} processes.\n");
    let asked = env::args().skip(1).filter(|it| !it.starts_with('-'));
    let asked: Vec<_> = asked.collect();
    let mut goals = Goals::default();
    for (name, processes, _, print) in parts {
        if asked.is_empty() || asked.iter().any(|it| it == name) {
            let mut reports = Reports::default();
            let is_one = *processes == Processes::One;
            reports.run(name, if is_one { 1 } else { repeats });
            print(&reports, &mut goals);
        }
    }
    goals.print()
}

/// Returns the role of a child process, or `None` in the process that the user started.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Returns the command that starts this program in a role.
pub(crate) fn command(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.env(ROLE, role);
    command
}

/// Returns the number of processes per measurement: 11, or the value in the environment.
pub(crate) fn repeats() -> usize {
    let repeats = env::var(REPEATS).ok().and_then(|text| text.parse().ok());
    repeats.unwrap_or(11)
}

/// Returns the profile of this program, determined from the directory of its executable.
pub(crate) fn profile() -> &'static str {
    let path = env::current_exe().expect("the path of this program");
    let is_lto = path.components().any(|it| it.as_os_str() == "bench-lto");
    if is_lto { "LTO" } else { "default" }
}

/// Reports a figure to the parent process.
pub(crate) fn report(name: &str, figure: &str, value: f64) {
    println!("{name}: {figure}\t{value}");
}

/// Figures reported by child processes.
#[derive(Default)]
pub(crate) struct Reports(BTreeMap<String, Vec<f64>>);

impl Reports {
    /// Runs this program in a role `repeats` times, one after the other.
    pub(crate) fn run(&mut self, role: &str, repeats: usize) {
        for number in 1..=repeats {
            eprintln!("{role}: process {number} of {repeats}");
            self.read(command(role));
        }
    }

    pub(crate) fn read(&mut self, mut command: Command) {
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.expect("the process can be started");
        assert!(output.status.success(), "a process of the benchmark failed");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (key, value) = line.split_once('\t').expect("a report");
            let value = value.parse().expect("a report is a number");
            self.0.entry(key.to_owned()).or_default().push(value);
        }
    }

    /// Returns the summary of a figure.
    pub(crate) fn get(&self, name: &str, figure: &str) -> f64 {
        let values = self.0.get(&format!("{name}: {figure}"));
        let values = values.unwrap_or_else(|| panic!("no {figure:?} of {name:?} was reported"));
        summary(figure, values.iter().copied())
    }
}

/// Returns the median of the values, or the maximum for a figure whose name ends in `, most`.
pub(crate) fn summary(figure: &str, values: impl IntoIterator<Item = f64>) -> f64 {
    let is_highest = figure.ends_with(", most");
    quantile(values, if is_highest { 1.0 } else { 0.5 })
}

/// Returns the median, or the lower of the two middle values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// Returns the `q`-quantile (0 to 1) of the values.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    assert!(!values.is_empty(), "there is nothing to take the median of");
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q) as usize]
}
