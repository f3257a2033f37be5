//! What the processes have measured, and how it stands to the goals.

use std::{convert::Infallible, future::Ready, path::Path, process::ExitCode};

use http::{Request, Response};
use notion_auth::{NotionAuth, layer::NoReplay};
use tower::Service;

use super::{
    cases::{
        HIT, HIT_CLONED, HIT_REPLAY, MAKING, RAW, RESIDENTS, TH2, TH2_CLONED, TH2_IF_ABSENT, any,
        cases, hot,
    },
    hits::{LOAD, SIZES},
    memory::CHURNED,
    threads,
};
use crate::support::{
    figure::lines,
    goal::{
        Want::{AtLeast, AtMost},
        goal, short,
    },
    inner::Inner,
    processes::{Reports, profile, repeats, run},
    table::{table, thousands},
};

pub(crate) fn report() -> ExitCode {
    let repeats = repeats();
    println!("Profile: {}. Medians of {repeats} processes.\n", profile());
    let allocations = run("allocations", 1);
    let hits = run("hits", repeats);
    let threads = run("threads", repeats);
    let memory = run("memory", 1);
    let proxy = run("proxy", 1);

    print_cases(&hits, &allocations);
    print_sizes(&hits);
    print_threads(&threads);
    print_memory(&memory);
    print_proxy(&proxy);
    if profile() == "default" {
        draw_sizes(&hits);
    }
    goals(&[&hits, &allocations, &threads, &memory, &proxy])
}

fn print_cases(hits: &Reports, allocations: &Reports) {
    let names: Vec<String> = cases().iter().map(|case| case.name().to_owned()).collect();
    let rows = names.iter().map(|name| {
        let of = |what: &str| short(hits.median(&format!("{name}: {what}")));
        vec![
            name.clone(),
            of("ns"),
            of("ns over floor"),
            of("ratio"),
            short(allocations.median(&format!("{name}: allocations"))),
        ]
    });
    table(
        &format!(
            "One thread, {} subjects at hand; against two static headers (th×2), cloned against cloned:",
            thousands(RESIDENTS as f64)
        ),
        &[
            "",
            "ns",
            "ns over the bare service",
            "against th×2",
            "allocations",
        ],
        &rows.collect::<Vec<_>>(),
    );
}

fn print_sizes(hits: &Reports) {
    let rows = SIZES.map(|count| {
        let of = |name: String, what: &str| short(hits.median(&format!("{name}: {what}")));
        vec![
            thousands(count as f64),
            of(hot(count), "ns over floor"),
            of(hot(count), "ratio"),
            of(any(count), "ns over floor"),
            of(any(count), "ratio"),
        ]
    });
    table(
        "One thread, by subjects at hand: always the same one, and any of them:",
        &[
            "subjects",
            "one, ns",
            "against th×2",
            "any, ns",
            "against th×2",
        ],
        &rows,
    );
    let load = hits.median(&format!("{LOAD}: ns"));
    let making = hits.median(&format!("{MAKING}: ns"));
    println!(
        "For comparison, {LOAD}: {} ns; {MAKING} of 36 bytes, before the request is sent: {} ns.\n",
        short(load),
        short(making)
    );
}

fn print_threads(threads: &Reports) {
    let rows = [threads::TH2, threads::ONE_SUBJECT, threads::TWO_SUBJECTS].map(|name| {
        let of = |what: &str| short(threads.median(&format!("{name}: {what}")));
        vec![name.to_owned(), of("ns over floor"), of("ratio")]
    });
    table(
        "Two threads that send without a pause:",
        &["", "ns over the bare service", "against th×2"],
        &rows,
    );
    println!(
        "For comparison, a cache line's way from the one thread to the other: {} ns.\n",
        short(threads.median(threads::WAY))
    );
}

fn print_memory(memory: &Reports) {
    let rows = ["bounded", CHURNED, "unbounded"].map(|name| {
        let each = memory.median(&format!("heap for a subject, {name}"));
        vec![name.to_owned(), short(each)]
    });
    table(
        "Heap for each of a million subjects, 93 bytes of it name and header value:",
        &["cache", "bytes"],
        &rows,
    );
}

fn print_proxy(proxy: &Reports) {
    let rows = ["without", "with"].map(|name| {
        let of = |what: &str| thousands(proxy.median(&format!("proxy {name}: {what}")));
        vec![
            name.to_owned(),
            of("requests a second"),
            of("p50"),
            of("p99"),
        ]
    });
    table(
        "A proxy on loopback, without and with the layer, ten seconds each in turns:",
        &["layer", "requests a second", "p50, µs", "p99, µs"],
        &rows,
    );
}

fn draw_sizes(hits: &Reports) {
    let points = |name: &dyn Fn(usize) -> String| {
        let point = |count| {
            let time = hits.median(&format!("{}: ns over floor", name(count)));
            (count as f64, time)
        };
        SIZES.map(point).to_vec()
    };
    let series = [
        ("always the same subject", points(&hot)),
        ("any subject", points(&any)),
        ("two static headers", points(&|_| TH2.to_owned())),
    ];
    lines(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/subjects.svg"),
        "What a hit costs, by the subjects at hand",
        "subjects at hand",
        "ns over the bare service",
        &series,
    );
}

fn goals(reports: &[&Reports; 5]) -> ExitCode {
    let [hits, allocations, threads, memory, proxy] = reports;
    let is_lto = profile() == "LTO";
    let by_profile = |lto: f64, default: f64| if is_lto { lto } else { default };
    let over = |name: &str, other: &str| {
        let of = |name: &str| hits.median(&format!("{name}: ns over floor"));
        of(name) / of(other)
    };
    let of = |reports: &Reports, name: &str, what: &str| reports.median(&format!("{name}: {what}"));
    let beyond_raw = of(allocations, HIT, "allocations") - of(allocations, RAW, "allocations");
    let million = SIZES[SIZES.len() - 1];
    let load = of(hits, LOAD, "ns");
    let heap = ["bounded", CHURNED]
        .map(|name| memory.median(&format!("heap for a subject, {name}")))
        .into_iter()
        .fold(0.0, f64::max);
    let goals = [
        (
            "allocations beyond two raw inserts",
            beyond_raw,
            AtMost,
            Some(0.0),
            0.0,
        ),
        (
            "hit, one hot, against th×2",
            of(hits, HIT, "ratio"),
            AtMost,
            Some(by_profile(1.0, 1.05)),
            by_profile(0.8, 0.9),
        ),
        (
            "hit, any of 1,000, against th×2",
            of(hits, &any(RESIDENTS), "ratio"),
            AtMost,
            Some(by_profile(1.15, 1.2)),
            by_profile(0.95, 1.05),
        ),
        (
            "hit against th×2, version if absent",
            over(HIT, TH2_IF_ABSENT),
            AtMost,
            Some(0.95),
            0.75,
        ),
        (
            "both cloned",
            over(HIT_CLONED, TH2_CLONED),
            AtMost,
            Some(0.9),
            0.7,
        ),
        (
            "future of a hit beyond the inner one, bytes",
            bytes_beyond_the_inner_future(),
            AtMost,
            Some(16.0),
            16.0,
        ),
        (
            "two threads on one subject, against th×2 there",
            of(threads, threads::ONE_SUBJECT, "ratio"),
            AtMost,
            Some(1.5),
            1.0,
        ),
        (
            "any of 1,000,000, against a dependent load",
            of(hits, &any(million), "ns over floor") / load,
            AtMost,
            Some(3.0),
            1.3,
        ),
        (
            "heap for a subject, bytes",
            heap,
            AtMost,
            Some(320.0),
            200.0,
        ),
        (
            "replay of an empty body, against th×2",
            over(HIT_REPLAY, TH2),
            AtMost,
            None,
            3.0,
        ),
        (
            "proxy with the layer, against without",
            proxy.median("proxy: ratio"),
            AtLeast,
            Some(0.97),
            0.99,
        ),
    ];
    let mut all_met = true;
    for (name, value, want, gate, aim) in goals {
        all_met &= goal(&format!("{name}, {}", profile()), value, want, gate, aim);
    }
    if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// For an inner future as large as the bare service's.
fn bytes_beyond_the_inner_future() -> f64 {
    type Outer = <NotionAuth<Inner, NoReplay> as Service<Request<()>>>::Future;
    let inner = size_of::<Ready<Result<Response<()>, Infallible>>>();
    size_of::<Outer>().saturating_sub(inner) as f64
}
