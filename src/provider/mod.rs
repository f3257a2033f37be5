//! The provider: stored credentials, and the access token of each subject.
//!
//! [`NotionAuthProvider`] returns the access token that a subject's requests send. A usable token is in its cache. For
//! any other, a *refresh task* reads the store and, if needed, spends the refresh token. There is at most one task for
//! each subject. Requests wait for its outcome, and a dropped request does not stop it.
//!
//! The steps of a task are in `src/refresh`; `DESIGN.md` explains them.

// rustdoc shows `impl` blocks in this order, which is that in which users meet the methods.
mod handle;

mod clients;

mod connect;

mod connections;

mod check;

#[cfg(feature = "encryption")]
mod rotate;

mod builder;

mod start;

mod at_rest;
mod lookup;
mod refusal;
mod registry;
mod session;
mod shared;
#[cfg(feature = "routes")]
mod shared_bot;
mod unauthorized;

#[cfg(feature = "routes")]
pub(crate) use self::connect::{Admission, Connecting};
#[cfg(feature = "encryption")]
pub use self::rotate::Rotation;
pub use self::{
    builder::NotionAuthProviderBuilder,
    check::{ConnectionCheck, Verdict},
    clients::{CallError, Clients},
    connections::{ConnectionStatus, Revocation},
    handle::{Acquired, NotionAuthProvider},
    session::Session,
};
pub(crate) use self::{
    lookup::{Lookup, Waiting},
    registry::EntryHandle,
    session::Identity,
    shared::Shared,
    unauthorized::Unauthorized,
};
#[cfg(feature = "routes")]
pub use crate::flow_problem::FlowProblem;
#[cfg(feature = "testing")]
pub use crate::refresh::Failpoint;
pub use crate::{
    event::{Event, Observer},
    refresh::{RefreshPolicy, RefreshTimings},
};
