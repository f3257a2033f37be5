#![doc = include_str!("table.md")]

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
