//! Credentials at rest: what a store is given to keep, who can read it, and how keys change.

mod at_rest;
mod keys;
mod payload;
mod rotation;
mod vault;
