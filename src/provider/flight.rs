//! One task for each subject, owned by no request.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tracing::Instrument;

use super::{
    purpose::{Outcome, Purpose},
    refresh,
    shared::Shared,
};
use crate::{
    error::AuthError,
    observe::{Ending, Lap},
    store::AttemptId,
    subject::Subject,
};

/// How far a flight is.
#[derive(Debug, Clone)]
enum Progress {
    Flying,
    /// It goes on, but it will take long: whoever waits is told this.
    Delayed(AuthError),
    Landed(Outcome, Ending),
}

#[derive(Debug)]
pub(super) struct Flights {
    slots: Mutex<Slots>,
    /// How many are in the air.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Slots {
    by_subject: HashMap<Subject, Slot>,
    /// How many there may be before old failures are looked for.
    sweep_at: usize,
    /// The attempts of this process of which it is not known whether they have spent the refresh
    /// token of a generation.
    doubts: HashMap<Subject, (u64, AttemptId)>,
}

#[derive(Debug)]
enum Slot {
    Flying {
        purpose: Purpose,
        progress: watch::Receiver<Progress>,
    },
    /// The last one failed, and until then (monotonic clock) the next one would too.
    Failed {
        purpose: Purpose,
        error: AuthError,
        until: Duration,
        /// How many failed in a row.
        failures: u32,
    },
}

/// A failure is not repeated from memory for longer than this: another process may have mended it.
const LONGEST_MEMORY: Duration = Duration::from_secs(5);

/// How long the number of failures in a row is remembered.
const COUNT_MEMORY: Duration = Duration::from_secs(600);

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            slots: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a remembered failure: the subject's credentials have changed.
    pub(super) fn forget_failure(&self, subject: &Subject) {
        let mut slots = self.slots();
        if let Some(Slot::Failed { .. }) = slots.by_subject.get(subject) {
            slots.by_subject.remove(subject);
        }
    }

    /// This process's attempt may have spent the refresh token of the generation, and holds its claim.
    pub(super) fn in_doubt(&self, subject: &Subject, generation: u64, attempt: AttemptId) {
        let doubt = (generation, attempt);
        self.slots().doubts.insert(subject.clone(), doubt);
    }

    /// What became of it is known.
    pub(super) fn no_doubt(&self, subject: &Subject) {
        self.slots().doubts.remove(subject);
    }

    /// This process's attempt that may have spent the refresh token of the generation.
    pub(super) fn doubt(&self, subject: &Subject, generation: u64) -> Option<AttemptId> {
        let mut slots = self.slots();
        let (in_doubt, attempt) = slots.doubts.get(subject).copied()?;
        if in_doubt == generation {
            return Some(attempt);
        }
        slots.doubts.remove(subject);
        None
    }

    /// Waits until no flight is in the air, and no errand under way.
    pub(super) async fn all_landed(&self) {
        // It fails only when the sender is gone, which is here.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// What else a process that ends waits for, such as the end of a connection flow.
#[cfg(feature = "routes")]
pub(crate) struct Errand(Arc<Shared>);

#[cfg(feature = "routes")]
impl Shared {
    pub(crate) fn errand(self: &Arc<Self>) -> Errand {
        self.flights.count.send_modify(|count| *count += 1);
        Errand(Arc::clone(self))
    }
}

#[cfg(feature = "routes")]
impl Drop for Errand {
    fn drop(&mut self) {
        self.0.flights.count.send_modify(|count| *count -= 1);
    }
}

/// How a request takes part in a flight.
struct Seat {
    progress: watch::Receiver<Progress>,
    /// Whether the flight's outcome is what the request needs.
    serves: bool,
    /// Whether another one began it.
    joined: bool,
}

/// Waits for credentials, on a flight that exists or a new one.
///
/// Dropping this future leaves the flight alone.
pub(super) async fn join(
    shared: &Arc<Shared>,
    subject: &Subject,
    purpose: Purpose,
) -> (Outcome, Ending) {
    loop {
        let mut seat = match board(shared, subject, purpose) {
            Ok(seat) => seat,
            Err(error) => return failed(error),
        };
        let progress = seat
            .progress
            .wait_for(|progress| !matches!(progress, Progress::Flying))
            .await;
        match progress.as_deref() {
            Ok(Progress::Landed(outcome, ending)) if seat.serves => {
                let is_shared = seat.joined && outcome.is_ok();
                let ending = if is_shared { Ending::Joined } else { *ending };
                return (outcome.clone(), ending);
            }
            Ok(Progress::Landed(..)) => {}
            Ok(Progress::Delayed(error)) => return failed(error.clone()),
            Ok(Progress::Flying) | Err(_) => return failed(crashed()),
        }
    }
}

fn failed(error: AuthError) -> (Outcome, Ending) {
    let ending = Ending::of(&error);
    (Err(error), ending)
}

/// Starts a flight if none is in the air, and does not wait for it.
pub(super) fn start(shared: &Arc<Shared>, subject: &Subject, purpose: Purpose) {
    if let Err(error) = board(shared, subject, purpose) {
        tracing::debug!(%error, "no flight was started");
    }
}

fn board(shared: &Arc<Shared>, subject: &Subject, purpose: Purpose) -> Result<Seat, AuthError> {
    let mut slots = shared.flights.slots();
    match slots.by_subject.get(subject) {
        Some(Slot::Flying {
            purpose: flying,
            progress,
        }) => {
            return Ok(Seat {
                progress: progress.clone(),
                serves: flying.covers(purpose),
                joined: true,
            });
        }
        Some(Slot::Failed {
            purpose: failed,
            error,
            until,
            ..
        }) if failed.covers(purpose) => {
            let now = shared.clock.monotonic();
            if let Some(left) = until.checked_sub(now).filter(|left| !left.is_zero()) {
                return Err(error.clone().with_retry_after(left));
            }
        }
        _ => {}
    }
    let runtime = shared.runtime()?;
    let (sender, progress) = watch::channel(Progress::Flying);
    let flying = Slot::Flying {
        purpose,
        progress: progress.clone(),
    };
    let failures = match slots.by_subject.insert(subject.clone(), flying) {
        Some(Slot::Failed { failures, .. }) => failures,
        _ => 0,
    };
    drop(slots);
    shared.flights.count.send_modify(|count| *count += 1);
    let flight = Flight {
        shared: Arc::clone(shared),
        subject: subject.clone(),
        purpose,
        failures,
        has_failed_call: AtomicBool::new(false),
        progress: sender,
    };
    let lap = Lap::refresh(subject);
    runtime.spawn(async move {
        let (outcome, ending) = match refresh::fly(&flight).instrument(lap.span()).await {
            Ok((grant, ending)) => (Ok(grant), ending),
            Err(error) => failed(error),
        };
        lap.end(ending);
        flight.land(outcome, ending);
    });
    Ok(Seat {
        progress,
        serves: true,
        joined: false,
    })
}

/// A flight in the air. Whatever ends it (its outcome, a panic, the end of the runtime) frees the
/// subject's slot and is told to all who wait.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    pub(super) subject: Subject,
    pub(super) purpose: Purpose,
    /// How many flights before this one failed in a row at the token endpoint.
    pub(super) failures: u32,
    has_failed_call: AtomicBool,
    progress: watch::Sender<Progress>,
}

impl Flight {
    /// Sends those who wait away with this error, while the flight goes on.
    pub(super) fn delay(&self, error: AuthError) {
        self.progress.send_replace(Progress::Delayed(error));
    }

    /// Lets those who come from now on wait again. Nobody is woken: whoever waits does so already.
    pub(super) fn resume(&self) {
        self.progress.send_if_modified(|progress| {
            *progress = Progress::Flying;
            false
        });
    }

    /// A call of the token endpoint has failed: the next back-off is longer.
    pub(super) fn note_failed_call(&self) {
        self.has_failed_call.store(true, Ordering::Relaxed);
    }

    fn land(&self, outcome: Outcome, ending: Ending) {
        let failure = match &outcome {
            Err(error) => error.retry_after().map(|after| (error, after)),
            Ok(_) => None,
        };
        {
            let mut slots = self.shared.flights.slots();
            slots.by_subject.remove(&self.subject);
            if let Some((error, after)) = failure {
                let now = self.shared.clock.monotonic();
                slots.sweep(now);
                slots.by_subject.insert(
                    self.subject.clone(),
                    Slot::Failed {
                        purpose: self.purpose,
                        error: error.clone(),
                        until: now.saturating_add(after.min(LONGEST_MEMORY)),
                        failures: self
                            .failures
                            .saturating_add(self.has_failed_call.load(Ordering::Relaxed).into()),
                    },
                );
            }
        }
        self.progress
            .send_replace(Progress::Landed(outcome, ending));
    }
}

impl Slots {
    /// Forgets the failures whose time is over, when there have come to be many slots.
    fn sweep(&mut self, now: Duration) {
        if self.by_subject.len() >= self.sweep_at {
            self.by_subject.retain(|_, slot| match slot {
                Slot::Flying { .. } => true,
                // Beyond its time it still counts the failures for the next back-off, if there were any.
                Slot::Failed {
                    until, failures, ..
                } => *until > now || (*failures > 0 && *until + COUNT_MEMORY > now),
            });
            self.sweep_at = 64.max(self.by_subject.len() * 2);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !matches!(*self.progress.borrow(), Progress::Landed(..)) {
            tracing::error!("a refresh ended without an outcome");
            let (outcome, ending) = failed(crashed());
            self.land(outcome, ending);
        }
        self.shared.flights.count.send_modify(|count| *count -= 1);
    }
}

fn crashed() -> AuthError {
    AuthError::transient("loading or refreshing the credentials was cut off; try again")
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("subject", &self.subject)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}
