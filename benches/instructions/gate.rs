//! Compares gungraun's counts with a baseline file that is only changed deliberately.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::ExitCode,
};

use serde_json::Value;

use crate::harness::{BATCH, Goals, command, profile, table};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions/baseline.toml");
const HEAD: &str = "\
# Instructions of a request over the bare service, by profile. Written by
# `cargo bench -p notion-auth-benches --bench instructions -- --accept` (and with `--profile bench-lto`).
# A new compiler, C library, kind of processor or version of `http` changes them too.
";

/// Instructions per request over the bare service, by benchmark.
type Counts = BTreeMap<String, f64>;

/// Returns the tolerated increase. Counts of one program are exact, but the compiler's output varies with
/// changes elsewhere in the crate. A hit has a tighter limit, so that one additional clone of a reference
/// count (11 instructions) is noticed.
fn tolerance(baseline: f64) -> f64 {
    let two_per_cent = baseline * 0.02;
    if baseline < 2_000.0 {
        two_per_cent.min(8.0)
    } else {
        two_per_cent
    }
}

/// Counts and prints. Fails if a benchmark exceeds its baseline.
pub(crate) fn run(is_accepted: bool) -> ExitCode {
    let counts = count();
    let text = fs::read_to_string(BASELINE).expect(BASELINE);
    let mut profiles: BTreeMap<String, Counts> = toml::from_str(&text).expect(BASELINE);
    print(&counts, profiles.get(profile()).unwrap_or(&Counts::new()));
    if is_accepted {
        profiles.insert(profile().to_owned(), counts.clone());
        let text = toml::to_string(&profiles).expect("TOML");
        fs::write(BASELINE, format!("{HEAD}\n{text}")).expect(BASELINE);
        println!("accepted: these counts are the baseline now");
    }
    let mut goals = Goals::default();
    // The profile of applications that are built for speed.
    if profile() == "LTO" {
        goals.set("instructions over floor", counts["hit"]);
    }
    let baseline = profiles.remove(profile()).unwrap_or_default();
    goals.has_missed_gate |= !is_within(&counts, &baseline);
    goals.print()
}

/// Prints the cheapest benchmark first.
fn print(counts: &Counts, baseline: &Counts) {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let rows = counts.into_iter().map(|(name, count)| {
        let was = baseline.get(name).copied().unwrap_or(f64::NAN);
        let change = (count / was - 1.0) * 100.0;
        let figures = [
            format!("{count:.1}"),
            format!("{was:.1}"),
            format!("{change:+.2}"),
        ];
        [vec![format!("`{name}`")], figures.to_vec()].concat()
    });
    let title = format!(
        "Instructions of a request over the bare service's, {}:",
        profile()
    );
    let head = " | instructions | baseline | change, %";
    table(&title, 1, head, &rows.collect::<Vec<_>>());
}

/// Returns whether no benchmark exceeds its baseline, is missing there, or was not counted.
fn is_within(counts: &Counts, baseline: &Counts) -> bool {
    let names: BTreeSet<_> = counts.keys().chain(baseline.keys()).collect();
    let mut is_within = true;
    for name in names {
        // A benchmark that is missing on one side is an error too.
        let count = counts.get(name).copied().unwrap_or(f64::INFINITY);
        let was = baseline.get(name).copied().unwrap_or_default();
        let figures = format!("{count:.1} instructions, baseline {was:.1}");
        if count < was - tolerance(was) {
            println!("note: {name} fell, accept it, so that it stays there: {figures}");
        } else if count > was + tolerance(was) {
            eprintln!("error: {name} rose, or is missing: {figures}");
            is_within = false;
        }
    }
    if !is_within {
        eprintln!(
            "No benchmark may take 2 % more than its baseline, and no hit 8 instructions. If this is meant, add \
             `-- --accept` to the command, and commit benches/instructions/baseline.toml.\n"
        );
    }
    is_within
}

/// Runs gungraun and reads its results.
fn count() -> Counts {
    // Next to cargo's output of this profile.
    let program = env::current_exe().expect("the path of this program");
    let home = program.with_file_name("gungraun");
    let folder = concat!(env!("CARGO_PKG_NAME"), "/instructions/counted/injection");
    let folder = home.join(folder);
    // Results of an earlier run must not be mistaken for this one's.
    let _ = fs::remove_dir_all(&folder);
    // gungraun reads its settings from the environment.
    let status = command("gungraun")
        .arg("--bench")
        .env("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"))
        .env("GUNGRAUN_HOME", home)
        .env("GUNGRAUN_SAVE_SUMMARY", "json")
        .status();
    let is_success = status.is_ok_and(|status| status.success());
    assert!(is_success, "gungraun has failed, see above");
    let mut counts = Counts::new();
    for entry in fs::read_dir(folder).expect("what gungraun has saved") {
        let entry = entry.expect("a folder for each benchmark");
        let summary = fs::read(entry.path().join("summary.json")).expect("a summary");
        let summary: Value = serde_json::from_slice(&summary).expect("a summary in JSON");
        let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new");
        let count = count.and_then(Value::as_f64).expect("a count");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        counts.insert(name.replace("send.", ""), count / BATCH as f64);
    }
    let mut floor = |name| counts.remove(name).expect("a count of the floor");
    let (floor, json_floor) = (floor("bare_service"), floor("bare_service_json"));
    for (name, count) in &mut counts {
        *count -= if name.ends_with("_json") {
            json_floor
        } else {
            floor
        };
    }
    counts
}
