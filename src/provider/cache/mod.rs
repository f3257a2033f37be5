//! The access tokens that are in use, as ready-made header values.
//!
//! A hit holds a read lock of one of the [`shards`] while it puts the value that it finds on its request.
//! An [`entry`] is all that is known of one subject's token; what its times mean is decided when it is
//! put in, so that a hit compares one number. How many there may be says [`room`], which of them go when
//! there are more, [`table`].

mod entry;
mod name;
mod room;
mod shards;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::{entry::Tag, shards::Slot};
pub(super) use self::{
    entry::{Found, Fresh, Stale, Standing, Validated},
    shards::Cache,
};
