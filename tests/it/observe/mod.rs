//! Compares the table in the docs with what the code emits, in both directions.

mod hits;
mod scenarios;
mod seen;
mod spans;
mod table;

use std::collections::BTreeSet;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use metrics_util::debugging::DebuggingRecorder;

/// `name kind level-or-unit`, or `name field=value`.
type Facts = BTreeSet<String>;

#[tokio::test(start_paused = true)]
async fn emitted_spans_events_and_metrics_match_the_table() {
    let seen = seen::Seen::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    {
        let _logs = seen.collect();
        let _metrics = metrics::set_default_local_recorder(&recorder);
        scenarios::run_all().await;
    }
    let mut emitted = seen.facts();
    emitted.extend(seen::metrics(snapshotter.snapshot()));
    let said = table::facts();

    let unsaid: Vec<_> = emitted.difference(&said).collect();
    let missing: Vec<_> = said.difference(&emitted).collect();
    assert!(
        unsaid.is_empty() && missing.is_empty(),
        "emitted, and not in the table: {unsaid:#?}\nin the table, and never emitted: {missing:#?}"
    );
}

#[test]
fn every_outcome_is_explained() {
    let outcomes: BTreeSet<_> = table::facts()
        .iter()
        .filter_map(|fact| Some(fact.split_once("outcome=")?.1.to_owned()))
        .filter(|value| value != "*")
        .collect();
    assert_eq!(table::explained(), outcomes);
}

#[tokio::test(start_paused = true)]
async fn prometheus_queries_match_the_exporter() {
    let buckets = Matcher::Suffix("_duration_seconds".to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(buckets, &[0.1, 1.0])
        .unwrap()
        .build_recorder();
    {
        let _metrics = metrics::set_default_local_recorder(&recorder);
        scenarios::run_all().await;
    }
    let page = recorder.handle().render();
    let queried = table::queried();
    assert!(queried.len() >= 5, "{queried:?}");
    for series in queried {
        let is_shown = page.lines().any(|line| line.starts_with(&series));
        assert!(is_shown, "{series} is not in\n{page}");
    }
}
