#![doc = include_str!("table.md")]

mod ending;
mod hits;
mod lap;
mod told;

pub(crate) use self::{
    ending::Ending,
    hits::Hits,
    lap::Lap,
    told::{called, foreign_unauthorized, replayed},
};
