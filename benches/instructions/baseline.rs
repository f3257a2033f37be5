//! What the counts are held against: a file that is changed on purpose only.

use std::{collections::BTreeMap, fs};

use super::counts::Counts;
use crate::support::processes::profile;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/baseline.toml"
);
const HEAD: &str = "\
# Instructions of a request over the bare service, by profile. Written by
# `cargo bench --bench instructions -- --accept` (and with `--profile bench-lto`), never by hand.
# A new compiler, C library, kind of processor or version of `http` changes them too.
";
/// Counts of one program are exact; this is for what a compiler does differently when something else
/// in the crate changes. A hit is held closer, so that one clone of a counted reference (11
/// instructions) is seen.
fn tolerance(baseline: f64) -> f64 {
    let two_per_cent = baseline * 0.02;
    if baseline < 2_000.0 {
        two_per_cent.min(8.0)
    } else {
        two_per_cent
    }
}

type Table = BTreeMap<String, f64>;

pub(crate) struct Baseline(BTreeMap<String, Table>);

impl Baseline {
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(PATH).map_err(|it| format!("{PATH}: {it}"))?;
        toml::from_str(&text)
            .map(Self)
            .map_err(|it| format!("{PATH}: {it}"))
    }

    fn table(&self) -> impl Iterator<Item = (&str, f64)> {
        let table = self.0.get(profile()).into_iter().flatten();
        table.map(|(name, count)| (name.as_str(), *count))
    }

    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        self.0.get(profile())?.get(name).copied()
    }

    /// Takes the counts of this profile for the baseline.
    pub(crate) fn accept(&mut self, counts: &Counts) -> Result<(), String> {
        let counts = counts.all_over_floor().into_iter();
        let table = counts.map(|(name, count)| (name.to_owned(), count));
        self.0.insert(profile().to_owned(), table.collect());
        let text = toml::to_string(&self.0).map_err(|it| format!("{PATH}: {it}"))?;
        fs::write(PATH, format!("{HEAD}\n{text}")).map_err(|it| format!("{PATH}: {it}"))?;
        println!("accepted: these counts are the baseline now");
        Ok(())
    }

    /// Says what has changed by more than the tolerance, and whether nothing rose or is missing.
    pub(crate) fn judge(&self, counts: &Counts) -> bool {
        let mut wrong = Vec::new();
        for (name, count) in counts.all_over_floor() {
            let Some(was) = self.of(name) else {
                wrong.push(format!("{name} has no baseline"));
                continue;
            };
            let change = change(was, count);
            let moved = format!("from {was:.1} to {count:.1} instructions, {change:+.2} %");
            if count > was + tolerance(was) {
                wrong.push(format!("{name} rose {moved}"));
            } else if count < was - tolerance(was) {
                println!("note: {name} fell {moved}; accept it, so that it stays there");
            }
        }
        for (name, _) in self.table() {
            if counts.over_floor(name).is_err() {
                wrong.push(format!("{name} has a baseline and was not counted"));
            }
        }
        for wrong in &wrong {
            eprintln!("error: {} profile: {wrong}", profile());
        }
        if !wrong.is_empty() {
            eprintln!(
                "No benchmark may take 2 % more than its baseline, and no hit 8 instructions. If \
                 this is meant, accept it:\n    cargo bench --bench instructions{} -- --accept\nand commit \
                 benches/instructions/baseline.toml.\n",
                if profile() == "LTO" {
                    " --profile bench-lto"
                } else {
                    ""
                }
            );
        }
        wrong.is_empty()
    }
}

/// In per cent.
pub(crate) fn change(from: f64, to: f64) -> f64 {
    (to / from - 1.0) * 100.0
}
