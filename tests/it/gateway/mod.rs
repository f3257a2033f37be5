//! The example `gateway` as its users run it: a program of its own, with `MockNotion` behind it.

mod ask;
mod clients;
mod crash;
mod database;
mod fed;
mod forwarding;
mod gate;
mod health;
mod keys_file;
mod methods;
mod program;
mod proxies;
mod proxy;
mod restart;
mod rotate;
mod settings;
mod shutdown;
mod streams;
mod tls;
mod unreached;
mod visitors;
mod wait;
