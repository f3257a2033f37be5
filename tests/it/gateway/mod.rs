//! The example `gateway` as its users run it: a program of its own, with `MockNotion` behind it.

mod ask;
mod clients;
mod crash;
mod fed;
mod forwarding;
mod gate;
mod program;
mod proxies;
mod proxy;
mod restart;
mod settings;
mod shutdown;
mod streams;
mod visitors;
mod wait;
