//! For your own tests: a local stand-in for Notion, and providers that know it.

mod clock;
mod conformance;
pub mod notion;
mod provider;

pub use self::{
    clock::TestClock, conformance::store_conformance, notion::MockNotion, provider::fixed_token,
};
pub use crate::subject::fix_subject_seed;
