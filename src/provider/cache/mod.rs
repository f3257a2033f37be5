//! The access tokens that are in use, as ready-made header values.
//!
//! A hit takes a read lock of one shard ([`table`]) for the time in which it copies the value it finds.
//! An [`entry`] is all that is known of one subject's token; what its times mean is decided when it is
//! put in, so that a hit compares one number. How many there may be, and which go when there are more,
//! is [`room`].

mod entry;
mod name;
mod room;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::{entry::Tag, table::Slot};
pub(super) use self::{
    entry::{Found, Fresh, Stale, Standing, Validated},
    table::Cache,
};
