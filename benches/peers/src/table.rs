//! What is reported and printed.

use std::path::Path;

use crate::{
    contest::{Entry, Kind, entries},
    headers::Job,
    support::{
        figure,
        goal::{Want, goal, short},
        processes::{Reports, profile, repeats},
    },
};

pub(crate) fn time(entry: &Entry) -> String {
    format!("{}: ns over floor", entry.name)
}

pub(crate) fn against_ours(entry: &Entry) -> String {
    format!("{}: ratio to ours", entry.name)
}

pub(crate) fn against_static(entry: &Entry) -> String {
    format!("{}: ratio to static", entry.name)
}

/// Prints everything, and answers whether all gates are met.
pub(crate) fn print(times: &Reports, allocations: &Reports) -> bool {
    println!(
        "One request; profile {}, medians of {} processes\n",
        profile(),
        repeats()
    );
    println!(
        "| | beyond | on | ns | against notion-auth | against two static headers | allocations |\n\
         |---|---|---|--:|--:|--:|--:|"
    );
    for entry in entries() {
        let allocations = allocations.median(&entry.name) - allocations.median(entry.floor);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            full_name(&entry),
            entry.floor,
            entry.request,
            short(times.median(&time(&entry))),
            short(times.median(&against_ours(&entry))),
            short(times.median(&against_static(&entry))),
            short(allocations),
        );
    }
    println!();
    let mut all_met = true;
    for entry in entries() {
        if let Kind::Peer(_, Job::Token) = entry.kind {
            let ratio = times.median(&against_ours(&entry));
            let name = format!("{} against notion-auth, {}", entry.name, profile());
            all_met &= goal(&name, ratio, Want::AtLeast, Some(2.0), 3.0);
        }
    }
    all_met
}

pub(crate) fn draw(times: &Reports) {
    let entries = entries();
    let shown = entries
        .iter()
        .filter(|it| !matches!(it.kind, Kind::Stack | Kind::Peer(_, Job::TokenAndVersion)));
    let bars: Vec<(&str, f64)> = shown
        .map(|entry| (entry.name.as_str(), times.median(&time(entry))))
        .collect();
    figure::bars(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../figures/peers.svg"),
        "A request with credentials, beyond the same without",
        "ns",
        &bars,
    );
}

/// The name with the version that the lock file has.
fn full_name(entry: &Entry) -> String {
    let package = match entry.kind {
        Kind::Peer(package, _) => package,
        Kind::Stack => "reqwest-middleware",
        Kind::Ours | Kind::Static => return entry.name.clone(),
    };
    let found = format!("name = \"{package}\"\nversion = \"");
    let version = include_str!("../../../Cargo.lock")
        .split_once(&found)
        .and_then(|(_, rest)| rest.split_once('"'));
    let (version, _) = version.expect("the lock file has the package");
    entry
        .name
        .replacen(package, &format!("{package} {version}"), 1)
}
