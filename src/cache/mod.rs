//! Cache of access tokens as ready-made header values.
//!
//! A cache hit holds a read lock of one of the [`shards`] while it clones the header value. An [`entry`] has everything
//! that is known of a subject's token. Its times are combined into one number when it is inserted, so that a hit makes
//! one comparison. [`room`] computes the capacity, and [`table`] evicts.

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
