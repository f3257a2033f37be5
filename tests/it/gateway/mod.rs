//! The example `gateway` as its users run it: a program of its own, with `MockNotion` behind it.

mod ask;
mod clients;
mod forwarding;
mod program;
mod rotate;
mod settings;
mod visitors;
