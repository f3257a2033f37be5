//! What it costs to put credentials on a request.
//!
//! `cargo bench --bench injection`, and with `--profile bench-lto`.

#[path = "../support/mod.rs"]
mod support;

mod hits;
mod threads;

use support::processes;

fn main() {
    match processes::role().as_deref() {
        None => hits::compare(),
        Some("quick") => hits::quick(),
        Some("threads") => threads::measure(),
        Some("hits") => hits::measure(),
        Some(other) if other.contains("profile") => {
            let (name, n) = other
                .strip_prefix("profile:")
                .unwrap()
                .split_once("@")
                .unwrap();
            hits::profile(name, n.parse().unwrap())
        }
        Some(other) => panic!("there is no role {other:?}"),
    }
}
