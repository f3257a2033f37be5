//! For your own tests: a local stand-in for Notion, and providers that know it.

mod clock;
pub mod notion;
mod provider;

pub use self::{clock::TestClock, notion::MockNotion, provider::fixed_token};
pub use crate::subject::fix_subject_seed;
