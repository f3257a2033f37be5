//! Credentials at rest: who can read a record, what it is bound to, how keys change, and its format.

mod format;
mod keys;
mod payload;
mod plaintext;
mod rotation;
mod setup;
