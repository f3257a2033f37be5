//! Ports for servers.

use std::{
    iter,
    net::{Ipv4Addr, TcpListener},
};

/// Below the ephemeral ports of Linux and other systems. A client's connection could take an ephemeral
/// port while the server is stopped, and a client that tries again and again to reach the stopped server
/// on such a port is connected to itself in the end.
const PORTS: std::ops::Range<u16> = 5_000..16_384;

/// A port of `127.0.0.1` that is free now. It is even; the next is for the same server.
pub(crate) fn free() -> u16 {
    iter::repeat_with(|| 2 * fastrand::u16(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
