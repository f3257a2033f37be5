//! Collects what the code emits.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use metrics::Unit;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

use super::{
    Facts,
    recorder::{Metric, TestRecorder},
};
use crate::support::subscribe;

/// Spans and events whose names are this crate's.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Facts>>);

impl Seen {
    /// Collects those of this thread while the guard lives.
    pub(super) fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        subscribe(subscriber)
    }

    pub(super) fn facts(&self) -> Facts {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, name: &str, fields: impl FnOnce(&mut Fields<'_>)) {
        if name.starts_with("notion_auth.") {
            let facts = &mut self.0.lock().unwrap();
            fields(&mut Fields { name, facts });
        }
    }
}

struct Fields<'a> {
    name: &'a str,
    facts: &'a mut Facts,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        if field.name() != "message" {
            self.facts.insert(format!("{} {field}=*", self.name));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.facts.insert(format!("{} {field}={value}", self.name));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        let (name, level) = (metadata.name(), metadata.level());
        self.note(name, |fields| {
            fields.facts.insert(format!("{name} span {level}"));
            attributes.record(fields);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        self.note(span.name(), |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (name, level) = (event.metadata().name(), event.metadata().level());
        self.note(name, |fields| {
            fields.facts.insert(format!("{name} event {level}"));
            event.record(fields);
        });
    }
}

/// Returns the metrics that were recorded at least once.
pub(super) fn metrics(recorder: &TestRecorder) -> Facts {
    let mut facts = Facts::new();
    for Metric { key, kind, unit } in recorder.metrics() {
        let name = key.name();
        let unit = unit.as_ref().map_or("no unit", Unit::as_str);
        facts.insert(format!("{name} {kind} {unit}"));
        for label in key.labels() {
            facts.insert(format!("{name} {}={}", label.key(), label.value()));
        }
    }
    facts
}

/// The series that the Prometheus exporter shows for these metrics.
pub(super) fn prometheus_series(recorder: &TestRecorder) -> Facts {
    let mut series = Facts::new();
    for Metric { key, kind, .. } in recorder.metrics() {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={:?}", label.key(), label.value()))
            .collect();
        let labels = labels.join(",");
        let suffixes: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        series.extend(
            suffixes
                .iter()
                .map(|it| format!("{}{it}{{{labels}}}", key.name())),
        );
    }
    series
}
