//! The key `http`: the port on which the daemon answers.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::{node::Node, secret::Secret};

/// The port where none is given.
const DEFAULT_PORT: u16 = 7_100;

/// Where the daemon answers, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address; `None` is no port at all.
    pub listen: Option<SocketAddr>,
    /// What a caller must know; `None` lets everybody in who reaches the port.
    pub token: Option<Secret>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))),
            token: None,
        }
    }
}

impl HttpSettings {
    /// `null` is no port at all.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let none = Self {
            listen: None,
            token: None,
        };
        let given = node.nullable(Self::read_keys)?;
        Some(given.unwrap_or(none))
    }

    fn read_keys(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let d = Self::default();
            let listen = o.optional("listen", d.listen, |node| node.nullable(address));
            let token = o.maybe("token", token);
            Some(Self {
                listen: listen?,
                token: token?,
            })
        })
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    const WHAT: &str = "an address with a port, such as `127.0.0.1:7100`, or `null` for none";
    if !node.is_string() {
        return node.wanted(WHAT);
    }
    let parsed = node.string()?.parse().ok();
    parsed.or_else(|| node.wanted(WHAT))
}

fn token(node: &Node<'_>) -> Option<Secret> {
    let token = node.secret_string()?;
    if token.is_empty() {
        node.fault("an empty token guards nothing; `null` for none");
        return None;
    }
    Some(Secret::new(token))
}
