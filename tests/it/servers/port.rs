//! Ports for servers.

use std::{
    iter,
    net::{Ipv4Addr, TcpListener},
};

/// Below those from which the system gives a connection its own end, on Linux and elsewhere. From
/// among them somebody's connection could sit on the port while the server is stopped; and who keeps
/// trying to reach a stopped server there is, sooner or later, connected with itself.
const PORTS: std::ops::Range<u16> = 5_000..16_384;

/// A port of `127.0.0.1` that is free now. It is even; the next is for the same server.
pub(super) fn free() -> u16 {
    iter::repeat_with(|| 2 * fastrand::u16(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
