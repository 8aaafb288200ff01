//! A free loopback port.

use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which systems take the ports of outgoing connections (Linux from 32,768, macOS from 49,152). A
/// client that calls the port of a server that is down would else sooner or later be given that very port for its own
/// end, and be connected with itself; and the server that is started again would find it taken.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// By chance, so that test processes side by side do not ask for the same one. Between this call and the server's own
/// somebody else may take it all the same: who starts a server tries again with another.
pub fn free() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(PORTS))
        .take(PORTS.len())
        .find(free)
        .expect("a free port")
}
