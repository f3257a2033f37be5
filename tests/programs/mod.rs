//! The examples as programs, for the tests that run them.

pub(crate) mod example;
pub(crate) mod process;
