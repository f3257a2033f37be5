//! What a benchmark is held against.

/// Whether a value should be small or large.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    AtMost,
    AtLeast,
}

/// Prints `goal: NAME VALUE gate LIMIT met|missed aim LIMIT met|missed`, and whether the gate is met.
pub(crate) fn goal(name: &str, value: f64, want: Want, gate: Option<f64>, aim: f64) -> bool {
    let is_met = |limit: f64| match want {
        Want::AtMost => value <= limit,
        Want::AtLeast => value >= limit,
    };
    let word = |limit: f64| if is_met(limit) { "met" } else { "missed" };
    let sign = match want {
        Want::AtMost => "<=",
        Want::AtLeast => ">=",
    };
    let gate_text = match gate {
        Some(gate) => format!("gate {sign}{gate} {}", word(gate)),
        None => "gate none met".to_owned(),
    };
    println!(
        "goal: {name} {} {gate_text} aim {sign}{aim} {}",
        short(value),
        word(aim)
    );
    gate.is_none_or(is_met)
}

/// Three digits that say something.
pub(crate) fn short(value: f64) -> String {
    if value.abs() >= 100.0 || value == value.trunc() {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
