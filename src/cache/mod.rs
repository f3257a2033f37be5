//! The access tokens in use, as ready-made header values.
//!
//! A cache hit holds a read lock of one of the [`shards`] while it clones the value that it found. An [`entry`] is all
//! that is known of one subject's token. What its times mean is decided when it is put in, so that a hit compares one
//! number. [`room`] is the capacity, [`table`] the eviction.

mod entry;
mod name;
mod room;
mod shards;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::entry::{EntryVersion, Fence};
pub(crate) use self::{
    entry::{Cached, Entry, Found, Refusal, Replaced, Validated},
    shards::{Cache, Changes, Hit},
};
