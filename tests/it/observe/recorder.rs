//! What the crate counts and measures, recorded.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// A recorder for `metrics::set_default_local_recorder`. Clones share what is recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestRecorder(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<KeyName, Unit>,
    counters: BTreeMap<Key, Arc<AtomicU64>>,
    histograms: BTreeMap<Key, Arc<Values>>,
}

#[derive(Debug, Default)]
struct Values(Mutex<Vec<f64>>);

/// A counter or a histogram with at least one event.
pub(super) struct Metric {
    pub(super) key: Key,
    pub(super) kind: &'static str,
    pub(super) unit: Option<Unit>,
}

impl TestRecorder {
    /// How much the counters of that name have grown since this was last called.
    pub(super) fn take_count(&self, name: &str) -> u64 {
        let state = self.state();
        let named = state.counters.iter().filter(|(key, _)| key.name() == name);
        named
            .map(|(_, count)| count.swap(0, Ordering::Relaxed))
            .sum()
    }

    pub(super) fn metrics(&self) -> Vec<Metric> {
        let state = self.state();
        let metric = |key: &Key, kind| Metric {
            key: key.clone(),
            kind,
            unit: state.units.get(key.name()).copied(),
        };
        let counters = state.counters.iter();
        let counters = counters.filter(|(_, count)| count.load(Ordering::Relaxed) > 0);
        let histograms = state.histograms.iter();
        let histograms = histograms.filter(|(_, values)| !values.0.lock().unwrap().is_empty());
        counters
            .map(|(key, _)| metric(key, "counter"))
            .chain(histograms.map(|(key, _)| metric(key, "histogram")))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn describe(&self, name: KeyName, unit: Option<Unit>) {
        if let Some(unit) = unit {
            self.state().units.insert(name, unit);
        }
    }
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Recorder for TestRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut state = self.state();
        Counter::from_arc(state.counters.entry(key.clone()).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("{key} is a gauge, of which the crate has none")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut state = self.state();
        Histogram::from_arc(state.histograms.entry(key.clone()).or_default().clone())
    }
}
