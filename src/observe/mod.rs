#![doc = include_str!("table.md")]
//!
//! Items on this page: [`Event`](crate::Event), [`Observer`](crate::provider::Observer).

mod events;
mod hits;
mod outcome;
mod timer;

pub(crate) use self::{
    events::{called, foreign_unauthorized, replayed},
    hits::Hits,
    outcome::OutcomeLabel,
    timer::Timer,
};
