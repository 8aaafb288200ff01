//! The key `http`: the port on which the daemon answers.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::secret::Secret;
use crate::jsonc::node::Node;

/// The port where none is given.
const DEFAULT_PORT: u16 = 7_100;

/// Where the daemon listens, and which callers it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address; `None` is no port at all.
    pub listen: Option<SocketAddr>,
    /// What a caller must know, as a bearer token. Without one `listen` must be a loopback address.
    pub token: Option<Secret>,
    /// Names under which this port may be reached, beside IP addresses, `localhost`, `*.localhost` and `*.local`.
    pub hosts: Vec<String>,
    /// Whether orders are refused.
    pub read_only: bool,
    /// The path below which a proxy shows this port: `/`, or `/name` without a slash at its end.
    pub base_path: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))),
            token: None,
            hosts: Vec::new(),
            read_only: false,
            base_path: "/".to_owned(),
        }
    }
}

impl HttpSettings {
    /// `null` is no port at all.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let none = Self {
            listen: None,
            ..Self::default()
        };
        let given = node.nullable(Self::read_keys)?;
        Some(given.unwrap_or(none))
    }

    fn read_keys(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let d = Self::default();
            let listen = o.optional("listen", d.listen, |node| node.nullable(address));
            let token = o.maybe("token", token);
            let hosts = o.optional("hosts", d.hosts, |node| {
                let all: Vec<_> = node.array()?.iter().map(host).collect();
                all.into_iter().collect()
            });
            let read_only = o.optional("read_only", d.read_only, Node::boolean);
            let base_path = o.optional("base_path", d.base_path, base_path);
            if let (Some(Some(listen)), Some(None)) = (listen, &token)
                && !listen.ip().is_loopback()
            {
                let place = o.place_of("listen");
                place.fault(format!(
                    "other machines reach `{listen}`, and without `http.token` each of them may read and order; set \
                     `http.token`, or listen on 127.0.0.1"
                ));
                return None;
            }
            Some(Self {
                listen: listen?,
                token: token?,
                hosts: hosts?,
                read_only: read_only?,
                base_path: base_path?,
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

/// A name of a host, in lower case: as the `Host` header has it, without a port.
fn host(node: &Node<'_>) -> Option<String> {
    const WHAT: &str = "the name of a host without scheme and port, such as `script.example.com`";
    let name = node.string()?.to_ascii_lowercase();
    let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match !name.is_empty() && name.chars().all(of_name) {
        true => Some(name),
        false => node.wanted(WHAT),
    }
}

/// A slash at its end changes nothing.
fn base_path(node: &Node<'_>) -> Option<String> {
    const WHAT: &str = "a path that begins with `/`, of letters, digits, `-`, `_`, `.` and `/`, such as `/scripts`";
    let path = node.string()?;
    let of_path = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_path = path.starts_with('/') && path.chars().all(of_path);
    let is_plain = !path.contains("//") && !path.split('/').any(|part| [".", ".."].contains(&part));
    if !is_path || !is_plain {
        return node.wanted(WHAT);
    }
    let bare = path.trim_end_matches('/');
    Some(if bare.is_empty() { "/" } else { bare }.to_owned())
}

fn token(node: &Node<'_>) -> Option<Secret> {
    let token = node.secret_string()?;
    node.is_filled();
    if token.is_empty() {
        node.fault("an empty token guards nothing; `null` for none");
        return None;
    }
    Some(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc::testing::{faults, good};

    #[test]
    fn only_loopback_is_listened_on_without_a_token() {
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            let read = good(
                &format!(r#"{{"listen": "{loopback}"}}"#),
                HttpSettings::read,
            );
            assert_eq!(read.listen, loopback.parse().ok());
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:127.0.0.1]:1"] {
            let found = faults(&format!(r#"{{"listen": "{open}"}}"#), HttpSettings::read);
            assert!(found[0].contains("set `http.token`"), "{found:?}");
            let with = format!(r#"{{"listen": "{open}", "token": "t"}}"#);
            assert!(good(&with, HttpSettings::read).token.is_some());
        }
    }

    #[test]
    fn hosts_and_base_paths_are_normalised() {
        let text = r#"{"hosts": ["A.Example"], "base_path": "/a/b/", "read_only": true}"#;
        let read = good(text, HttpSettings::read);
        assert_eq!((&*read.hosts[0], &*read.base_path), ("a.example", "/a/b"));
        assert!(read.read_only);
        for path in ["/", "///"] {
            let text = format!(r#"{{"base_path": "{path}"}}"#);
            match path {
                "/" => assert_eq!(good(&text, HttpSettings::read).base_path, "/"),
                _ => assert_eq!(faults(&text, HttpSettings::read).len(), 1),
            }
        }
        for bad in ["", "a", "/a b", "/../x", "/a?b", "/{x}"] {
            let text = format!(r#"{{"base_path": "{bad}"}}"#);
            assert_eq!(faults(&text, HttpSettings::read).len(), 1, "{bad}");
        }
    }
}
