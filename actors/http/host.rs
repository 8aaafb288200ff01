//! Under which names this port may be reached.
//!
//! A page of another site can point a name of its own at 127.0.0.1 and then read answers as if they were its own (DNS
//! rebinding): its requests have no foreign `Origin`, but they have its name as `Host`.

use std::net::{IpAddr, Ipv6Addr};

/// Whether requests for this `Host` are answered. `named` are the names of the settings, in lower case.
pub(super) fn is_ours(host: &str, named: &[String]) -> bool {
    let Some(name) = name_of(host) else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    // A dot at its end makes it absolute, and nothing else.
    let name = name.strip_suffix('.').unwrap_or(&name);
    name.parse::<IpAddr>().is_ok()
        || is_v6(name)
        || name == "localhost"
        || name.ends_with(".localhost")
        || name.ends_with(".local")
        || named.iter().any(|known| known == name)
}

fn is_v6(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

/// Without the port; none where that is no number.
fn name_of(host: &str) -> Option<&str> {
    let end_of_v6 = host.find(']').map_or(0, |at| at + 1);
    match host[end_of_v6..].rsplit_once(':') {
        None => Some(host),
        Some((before, port)) => {
            let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            (is_port && !before.contains(':')).then(|| &host[..end_of_v6 + before.len()])
        }
    }
}

/// Whether the origin of a page is this host: the same name and port.
pub(super) fn is_same_origin(origin: &str, host: &str) -> bool {
    let (rest, default) = match (
        origin.strip_prefix("http://"),
        origin.strip_prefix("https://"),
    ) {
        (Some(rest), _) => (rest, ":80"),
        (_, Some(rest)) => (rest, ":443"),
        _ => return false,
    };
    let bare = |authority: &str| {
        let lower = authority.to_ascii_lowercase();
        lower.strip_suffix(default).unwrap_or(&lower).to_owned()
    };
    !rest.is_empty() && bare(rest) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_local_names_and_named_hosts_are_ours() {
        let named = ["script.example.com".to_owned()];
        for host in [
            "127.0.0.1:7100",
            "127.0.0.1",
            "10.1.2.3:80",
            "[::1]:7100",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:7100",
            "a.localhost:1",
            "nas.local",
            "localhost.:7100",
            "script.example.com",
            "Script.Example.com:443",
        ] {
            assert!(is_ours(host, &named), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7100",
            "localhost.evil.example",
            "xlocalhost",
            "127.0.0.1.evil.example",
            "script.example.com.evil.example",
            "localhost:evil",
            "localhost:",
            "evil.example:80:7100",
            "[::1",
            "::1]",
            "[evil.example]:7100",
            "localhost@evil.example",
        ] {
            assert!(!is_ours(host, &named), "{host}");
        }
        assert!(!is_ours("script.example.com", &[]));
    }

    #[test]
    fn an_origin_is_compared_with_its_port() {
        for (origin, host, same) in [
            ("http://127.0.0.1:7100", "127.0.0.1:7100", true),
            ("http://LocalHost:7100", "localhost:7100", true),
            ("https://s.example.com", "s.example.com", true),
            ("https://s.example.com", "s.example.com:443", true),
            ("http://localhost:80", "localhost", true),
            ("http://localhost:8080", "localhost:7100", false),
            ("http://localhost:443", "localhost", false),
            ("http://evil.example", "localhost:7100", false),
            ("null", "null", false),
            ("", "", false),
            ("http://", "", false),
            ("file://localhost:7100", "localhost:7100", false),
        ] {
            assert_eq!(is_same_origin(origin, host), same, "{origin} {host}");
        }
    }
}
