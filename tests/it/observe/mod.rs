//! Compares the table in the docs with what the code emits, in both directions.

mod hits;
pub(crate) mod recorder;
mod scenarios;
mod seen;
mod spans;
mod table;

use std::collections::BTreeSet;

use recorder::TestRecorder;

/// `name kind level-or-unit`, or `name field=value`.
type Facts = BTreeSet<String>;

#[tokio::test(start_paused = true)]
async fn emitted_spans_events_and_metrics_match_the_table() {
    let seen = seen::Seen::default();
    let recorder = TestRecorder::default();
    {
        let _logs = seen.collect();
        let _metrics = metrics::set_default_local_recorder(&recorder);
        scenarios::run_all().await;
    }
    let mut emitted = seen.facts();
    emitted.extend(seen::metrics(&recorder));
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
async fn prometheus_queries_name_recorded_series() {
    let recorder = TestRecorder::default();
    {
        let _metrics = metrics::set_default_local_recorder(&recorder);
        scenarios::run_all().await;
    }
    let series = seen::prometheus_series(&recorder);
    let queried = table::queried();
    assert!(queried.len() >= 5, "{queried:?}");
    for query in queried {
        let prefix = match query.ends_with('}') {
            true => query.clone(),
            false => format!("{query}{{"),
        };
        let is_recorded = series.iter().any(|series| series.starts_with(&prefix));
        assert!(is_recorded, "{query} is none of {series:#?}");
    }
}
