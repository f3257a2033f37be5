//! Cases in turn, so that what disturbs the machine disturbs them all.

use std::time::Duration;

use super::{inner::BATCH, statistics::median};

/// Something that is measured: the time that one batch of it takes.
pub(crate) struct Case {
    pub(crate) name: String,
    batch: Box<dyn FnMut() -> Duration>,
}

impl Case {
    /// `batch` prepares and then times [`BATCH`] of what is measured.
    pub(crate) fn new(name: impl Into<String>, batch: impl FnMut() -> Duration + 'static) -> Self {
        Self {
            name: name.into(),
            batch: Box::new(batch),
        }
    }
}

/// What the cases took: nanoseconds for one, by case and round.
pub(crate) struct Times {
    names: Vec<String>,
    rounds: Vec<Vec<f64>>,
}

/// Runs all cases in turn, `rounds` times; a round is the median of `batches` batches of a case.
pub(crate) fn interleave(cases: &mut [Case], rounds: usize, batches: usize) -> Times {
    let mut times = Times {
        names: cases.iter().map(|case| case.name.clone()).collect(),
        rounds: vec![Vec::with_capacity(rounds); cases.len()],
    };
    for round in 0..=rounds {
        for (case, times) in cases.iter_mut().zip(&mut times.rounds) {
            let batch = |_| (case.batch)().as_nanos() as f64 / BATCH as f64;
            let time = median((0..batches).map(batch));
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    times
}

impl Times {
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn of(&self, name: &str) -> &[f64] {
        let at = self.names.iter().position(|it| it == name);
        &self.rounds[at.unwrap_or_else(|| panic!("no case is named {name:?}"))]
    }

    /// What the case takes, in nanoseconds.
    pub(crate) fn of_itself(&self, name: &str) -> f64 {
        median(self.of(name).iter().copied())
    }

    /// What the case takes beyond `floor`, in nanoseconds.
    pub(crate) fn over(&self, name: &str, floor: &str) -> f64 {
        let pairs = self.of(name).iter().zip(self.of(floor));
        median(pairs.map(|(time, floor)| time - floor))
    }

    /// What the case takes beyond its floor, against what another takes beyond its own.
    pub(crate) fn ratio(&self, case: (&str, &str), other: (&str, &str)) -> f64 {
        let ours = self.of(case.0).iter().zip(self.of(case.1));
        let theirs = self.of(other.0).iter().zip(self.of(other.1));
        median(
            ours.zip(theirs)
                .map(|((time, floor), (other, other_floor))| {
                    (time - floor) / (other - other_floor)
                }),
        )
    }
}
