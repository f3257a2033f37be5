//! Ports for servers.

use std::{
    iter,
    net::{Ipv4Addr, TcpListener},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// Ports below the ephemeral ports of Linux and other systems.
///
/// While a server is stopped, a client's connection could take an ephemeral port. A client that repeatedly
/// connects to such a port is finally connected to itself.
const PORTS: std::ops::Range<u16> = 5_000..16_384;

/// Returns a free port of `127.0.0.1` that no other test of this process gets. It is even; the next one is
/// for the same server.
pub(crate) fn free() -> u16 {
    static FIRST: OnceLock<u16> = OnceLock::new();
    static COUNT: AtomicU16 = AtomicU16::new(0);

    let number_of_ports = PORTS.end - PORTS.start;
    let first = *FIRST.get_or_init(|| fastrand::u16(..number_of_ports));
    iter::repeat_with(|| first.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)))
        .map(|number| 2 * (PORTS.start + number % number_of_ports))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
