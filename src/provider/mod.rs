//! The provider: keeps credentials usable.
//!
//! [`NotionAuthProvider`] knows for each subject which access token to send now. One that can be sent is in its cache.
//! For any other, a *refresh task* reads the store and, if need be, spends the refresh token: one task for each
//! subject, independent of any request. Requests wait for its outcome; none of them can stop it.
//!
//! The steps of a task are in `src/refresh`; `DESIGN.md` explains why.

mod at_rest;
mod builder;
mod check;
mod clients;
mod connect;
mod connections;
mod handle;
mod lookup;
mod refusal;
mod registry;
#[cfg(feature = "encryption")]
mod rotate;
mod session;
mod shared;
#[cfg(feature = "routes")]
mod shared_bot;
mod start;
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
