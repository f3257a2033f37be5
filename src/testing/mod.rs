//! Tools for your own tests: a mock Notion server, providers, a clock, and store conformance tests.

mod clock;
mod conformance;
pub mod notion;
mod provider;

pub use self::{
    clock::TestClock, conformance::store_conformance, notion::MockNotion, provider::fixed_token,
};
pub use crate::subject::fix_subject_seed;
