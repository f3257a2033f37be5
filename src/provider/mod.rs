//! The provider: keeps credentials usable.
//!
//! [`NotionAuthProvider`] knows for each subject which access token to send now. One that can be sent is in its cache.
//! For any other, a *refresh task* reads the store and, if need be, spends the refresh token: one task for each
//! subject, independent of any request. Requests wait for its outcome; none of them can stop it.
//!
//! The steps of a task are in `refresh/`; `DESIGN.md` explains why.

mod at_rest;
mod backoff;
mod builder;
mod cache;
mod connect;
mod connections;
mod event;
#[cfg(feature = "routes")]
mod flow_problem;
mod handle;
mod lookup;
mod publish;
mod refresh;
mod refusal;
mod registry;
#[cfg(feature = "encryption")]
mod rotate;
mod session;
mod settings;
mod shared;
#[cfg(feature = "routes")]
mod shared_bot;

#[cfg(feature = "routes")]
pub(crate) use self::connect::{Admission, Connecting};
#[cfg(feature = "routes")]
pub use self::flow_problem::FlowProblem;
#[cfg(feature = "testing")]
pub use self::refresh::Failpoint;
#[cfg(feature = "encryption")]
pub use self::rotate::Rotation;
pub use self::{
    builder::NotionAuthProviderBuilder,
    connections::{ConnectionStatus, Revocation},
    event::{Event, Observer},
    handle::{Acquired, NotionAuthProvider},
    session::Session,
    settings::{RefreshTimings, UnknownExpiry},
};
pub(crate) use self::{
    cache::{EntryVersion, Fence, Hit},
    lookup::{Lookup, Waiting},
    refresh::Grant,
    refusal::Unauthorized,
    registry::EntryHandle,
    session::Identity,
    shared::Shared,
};
