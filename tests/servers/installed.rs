//! Finds installed programs. Tests are skipped without them.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Debian's directory of programs for administrators.
const ADMINISTRATION: &str = "/usr/sbin";

/// Debian's directory of PostgreSQL, with a subdirectory for each version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Finds the first of these programs on the `PATH`, or in the administrators' directory.
pub(super) fn program(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| {
        path()
            .chain([ADMINISTRATION.into()])
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
    })
}

/// Finds the directory of PostgreSQL's programs: on the `PATH`, or the newest version of Debian's.
pub(super) fn postgresql() -> Option<PathBuf> {
    let complete = |directory: &PathBuf| {
        let programs = ["initdb", "pg_isready", "postgres", "psql"];
        programs.map(|program| directory.join(program).is_file()) == [true; 4]
    };
    path().find(complete).or_else(|| {
        fs::read_dir(POSTGRESQL)
            .ok()?
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .filter(complete)
            .max_by_key(|directory| version(directory))
    })
}

/// Prints that the program is missing and returns `None`. Panics if `CI` is set.
pub(super) fn skipped<T>(what: &str, package: &str) -> Option<T> {
    let why = format!("no {what}: apt-get install {package}");
    assert!(env::var_os("CI").is_none(), "{why}");
    // Macros would print to the captured output, which is not shown for passing tests.
    let _ = writeln!(io::stderr(), "skipped, {why}");
    None
}

fn path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}
