//! What gungraun has counted, by benchmark.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use serde_json::Value;

use super::baseline::{Baseline, change};
use crate::support::{
    inner::BATCH,
    processes::{command, profile},
};

/// The process that hands over to gungraun, which wants its settings from the environment.
pub(crate) const ROLE: &str = "gungraun";

const FLOOR: &str = "bare_service";

/// Instructions for one request.
pub(crate) struct Counts(BTreeMap<String, f64>);

impl Counts {
    /// Lets gungraun count and print, and reads what it has saved.
    pub(crate) fn count() -> Result<Self, String> {
        for (_, summary) in summaries() {
            // What stays from another run must not pass for this one's.
            fs::remove_file(&summary).map_err(|it| format!("{}: {it}", summary.display()))?;
        }
        let status = command(ROLE)
            .arg("--bench")
            .env("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"))
            .env("GUNGRAUN_HOME", home())
            .env("GUNGRAUN_SAVE_SUMMARY", "json")
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("gungraun has failed, see above".to_owned());
        }
        let counts: Option<_> = summaries()
            .into_iter()
            .map(|(name, summary)| {
                let summary: Value = serde_json::from_slice(&fs::read(summary).ok()?).ok()?;
                let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new")?;
                Some((name, count.as_f64()? / BATCH as f64))
            })
            .collect();
        counts.map(Self).ok_or_else(|| {
            "gungraun's summaries cannot be read: has their form changed?".to_owned()
        })
    }

    fn of(&self, name: &str) -> Result<f64, String> {
        let count = self.0.get(name).copied();
        count.ok_or_else(|| format!("{name:?} was not counted"))
    }

    pub(crate) fn over_floor(&self, name: &str) -> Result<f64, String> {
        Ok(self.of(name)? - self.of(FLOOR)?)
    }

    /// What each benchmark takes beyond the bare service, the cheapest first.
    pub(crate) fn all_over_floor(&self) -> Vec<(&str, f64)> {
        let floor = self.0.get(FLOOR).copied().unwrap_or_default();
        let mut all: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| *name != FLOOR)
            .map(|(name, count)| (name.as_str(), count - floor))
            .collect();
        all.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        all
    }

    pub(crate) fn print(&self, baseline: &Baseline) {
        println!(
            "\ninstructions of a request over the bare service's {:.1}, {}\n{:28}{:>10}{:>10}",
            self.0.get(FLOOR).copied().unwrap_or_default(),
            profile(),
            "",
            "counted",
            "baseline"
        );
        for (name, count) in self.all_over_floor() {
            match baseline.of(name) {
                Some(was) => println!(
                    "{name:28}{count:>10.1}{was:>10.1}{:>+10.2} %",
                    change(was, count)
                ),
                None => println!("{name:28}{count:>10.1}{:>10}", "none"),
            }
        }
        println!();
    }
}

/// Beside what cargo has built in this profile, so that gungraun compares like with like.
fn home() -> PathBuf {
    let program = env::current_exe().expect("the path of this program");
    let built = program.ancestors().nth(2).expect("cargo's folder");
    built.join("gungraun")
}

/// The names of the benchmarks that have a summary, and where it is.
fn summaries() -> Vec<(String, PathBuf)> {
    let path = [
        env!("CARGO_PKG_NAME"),
        "instructions",
        "counted",
        "injection",
    ];
    let folder = home().join(path.iter().collect::<PathBuf>());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let summary = entry.path().join("summary.json");
            let name = name.strip_prefix("send.")?.to_owned();
            summary.is_file().then_some((name, summary))
        })
        .collect()
}
