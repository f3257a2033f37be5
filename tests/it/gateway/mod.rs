//! The example `gateway` as its users run it: a program of its own, with `MockNotion` behind it.

mod ask;
mod clients;
mod database;
mod forwarding;
mod health;
mod keys_file;
mod program;
mod rotate;
mod settings;
mod unreached;
mod visitors;
