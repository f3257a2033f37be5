//! What is installed, and what becomes of tests where it is not.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Where Debian has the programs that only administrators start.
const ADMINISTRATION: &str = "/usr/sbin";

/// Where Debian has PostgreSQL: below, a directory for each version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// The first of these that is on the `PATH`, or where administrators have it.
pub(super) fn program(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| {
        path()
            .chain([ADMINISTRATION.into()])
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
    })
}

/// The directory of PostgreSQL's programs: on the `PATH`, or else Debian's of the newest version.
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

/// `None`, and says so. Where `CI` is set, it must be there.
pub(super) fn skipped<T>(what: &str, package: &str) -> Option<T> {
    let why = format!("no {what}: apt-get install {package}");
    assert!(env::var_os("CI").is_none(), "{why}");
    // Not by a macro: what those print is not shown with a test that passes.
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
