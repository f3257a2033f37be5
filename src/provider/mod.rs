//! Who keeps credentials good: the provider.
//!
//! [`NotionAuthProvider`] knows for every subject which access token to send now. A token that can
//! be used is found in its cache; what cannot, is a *flight*: one task for each subject, owned by no
//! request, that reads the store and, if need be, spends the refresh token. Requests wait for a
//! flight's outcome; none of them can stop it.
//!
//! What a flight does, step by step, is in `refresh/`; `DESIGN.md` explains why.

mod at_rest;
mod backoff;
mod builder;
mod cache;
mod connect;
mod connection;
mod event;
mod flight;
#[cfg(feature = "routes")]
mod flow_problem;
mod handle;
mod lookup;
mod point;
mod publish;
mod purpose;
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
pub use self::point::Point;
#[cfg(feature = "encryption")]
pub use self::rotate::Rotation;
pub use self::{
    builder::NotionAuthProviderBuilder,
    connection::{ConnectionStatus, Revocation},
    event::{Event, Observer},
    handle::{Acquired, NotionAuthProvider},
    session::Session,
    settings::{RefreshTimings, UnknownExpiry},
};
pub(crate) use self::{
    cache::{Slot, Tag},
    lookup::{Lookup, Waiting},
    purpose::Grant,
    refusal::Unauthorized,
    registry::Ticket,
    session::Identity,
    shared::Shared,
};
