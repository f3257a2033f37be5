//! A refresh task: how stored credentials become credentials that can be sent, and how a refresh token that can be
//! spent only once is spent.
//!
//! 1. [`load`]: the record, as the store has it now.
//! 2. [`decide`]: one table says what is done with it.
//! 3. [`lease`]: a durable entry that this attempt is about to spend the token; or wait for the attempt that has one.
//! 4. [`exchange`]: one call of the token endpoint. While its outcome is unknown, the lease stays and the call is
//!    repeated.
//! 5. [`commit`]: the new pair is saved before it is used; or the lease is released; or, after a definite
//!    `invalid_grant` for an unmoved record, the credentials are invalidated.
//!
//! Whenever the record turns out to have moved, the task starts again at 1. [`run`] is how requests share a task
//! over [`single_flight`], and the order of the steps; [`failures`] is what a process remembers between tasks.

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
