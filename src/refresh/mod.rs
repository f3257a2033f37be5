//! Refresh tasks. A task makes stored credentials usable, and spends a refresh token at most once.
//!
//! 1. [`load`]: reads the record.
//! 2. [`decide`]: chooses the next action from one table.
//! 3. [`lease`]: writes a durable entry that this attempt is about to spend the token, or waits for the attempt that has
//!    such an entry.
//! 4. [`exchange`]: calls the token endpoint. While the outcome is unknown, the lease stays and the call is repeated.
//! 5. [`commit`]: saves the new pair before it is used, or releases the lease. After a definite `invalid_grant` for an
//!    unmoved record, it invalidates the credentials.
//!
//! If the record has moved, the task starts again at 1. [`run`] has the order of the steps. Requests share a task by
//! [`single_flight`], and [`failures`] is a process's memory between tasks.

mod commit;
mod decide;
mod engine;
mod exchange;
mod failpoint;
mod failures;
mod goal;
mod guards;
mod jitter;
mod lease;
mod load;
mod run;
mod settings;
mod single_flight;
mod task;

#[cfg(feature = "testing")]
pub use self::failpoint::Failpoint;
#[cfg(feature = "testing")]
pub(crate) use self::failpoint::FailpointHook;
pub use self::settings::{RefreshPolicy, RefreshTimings};
pub(crate) use self::{
    engine::Engine,
    failures::Failures,
    goal::{Goal, Grant, Outcome, Tasks, Trigger},
    guards::{Brake, Issuers},
    jitter::Jitter,
    run::{join, start},
};
