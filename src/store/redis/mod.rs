//! Credentials in Redis or Valkey.
//!
//! [`store`] is what applications see, [`operations`] the contract; [`keys`] and [`fields`] say what is
//! kept where, [`script`] has what Redis does in one step; [`entry`], [`list`] and [`sweep`] are the index;
//! [`url`], [`connect`] and [`link`] the connection, [`durability`] what the server must be set to, and [`failure`]
//! what its errors mean.
//!
//! # One key, one step
//!
//! A record is one hash, and all that decides about it is one script on that key: the comparison with the
//! revision that was seen, and the write. A command that is sent and has no answer is an error, never "no":
//! the manager of the connection repeats nothing, and only what may be done twice is repeated here.
//!
//! # The index
//!
//! Redis cannot list hashes in order, and in a cluster no step touches two slots, so what can be listed is
//! also in a sorted set for each namespace, written beside the record and not with it. All its members have
//! the score 0, so they stand in the order of their bytes: `subject:ann` for each record, and
//! `bot:6:bot-id:ann` for each that has a bot.
//!
//! A member promises nothing. Who lists reads the records themselves, and passes over a member without a
//! record, or whose record is another bot's now. So it is enough that each record has its members once its
//! writer has been answered. A writer
//!
//! 1. adds them, and waits for that,
//! 2. changes the record,
//! 3. adds them again; 2 and 3 are one write to one connection.
//!
//! By 1 the members are on disk before the record is, however the writer or the server ends. 3 is because
//! of the sweep, which
//!
//! 1. looks at a member's record, and finds that it does not hold,
//! 2. removes the member,
//! 3. looks again, and puts it back if it holds now.
//!
//! If its last look comes after the change of the record, it sees that, and puts the member back. If it
//! comes before, so does the removal, and the writer's last step comes after both. What is left is a sweep
//! that dies between its steps 2 and 3, while the same record, which was not there at its step 1, is made
//! whole; and a writer whose steps 2 and 3 are torn apart by a crash while a sweep removes the member between
//! its 1 and 2. Such a record can be loaded and changed as ever, is not listed, and is listed again after
//! its next change, which every refresh is.
//!
//! Namespaces stay in a set of their own; there are few of them.

mod connect;
mod durability;
mod entry;
mod failure;
mod fields;
mod keys;
mod link;
mod list;
mod operations;
mod script;
mod store;
mod sweep;
mod url;

pub use self::store::RedisStore;
