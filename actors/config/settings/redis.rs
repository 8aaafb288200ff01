//! The key `redis`: servers by name.

use std::fmt;

use super::sentinels::SentinelAddress;
use crate::config::secret::{self, Secret};
use crate::jsonc::node::Node;

/// One Redis server.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Its address, which may hold a password: `redis://`, `rediss://`, or that of its Sentinels (`redis+sentinel://`).
    pub url: Secret,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: Secret::new("redis://127.0.0.1:6379/0"),
        }
    }
}

impl RedisSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let url = o.required(
                "url",
                "the server, such as `redis://127.0.0.1:6379/0`",
                |node| {
                    let url = node.secret_string()?;
                    match fault(&url) {
                        Some(message) => {
                            node.fault(message);
                            None
                        }
                        None => Some(Secret::new(url)),
                    }
                },
            );
            Some(Self { url: url? })
        })
    }

    /// The address as it may be logged.
    pub fn redacted(&self) -> String {
        match self.sentinels() {
            Ok(Some(address)) => address.shown,
            _ => secret::redacted(self.url.expose()),
        }
    }

    /// `None`: the address is that of the server itself.
    ///
    /// # Errors
    ///
    /// What is wrong with the address; never where it was read from settings.
    pub(crate) fn sentinels(&self) -> Result<Option<SentinelAddress>, String> {
        SentinelAddress::parse(self.url.expose())
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("url", &self.redacted())
            .finish()
    }
}

/// What is wrong with an address; does not repeat it.
fn fault(address: &str) -> Option<String> {
    const RIGHT: &str = "`redis://[user:password@]host:6379/0` or `rediss://…` would be right";
    const SENTINELS: &str = "`redis+sentinel://[user:password@]host:26379,host:26379/service/0` would be right for Sentinels";
    match SentinelAddress::parse(address) {
        Ok(None) => {}
        Ok(Some(_)) => return None,
        Err(message) => return Some(message),
    }
    let url = match url::Url::parse(address) {
        // `localhost:6379` would be one, of the scheme `localhost`.
        _ if !address.contains("://") => return Some(format!("this is no URL; {RIGHT}")),
        Ok(url) => url,
        Err(_) if names_several_hosts(address) => {
            return Some(format!(
                "several hosts are those of Sentinels or of a cluster, and a cluster is not supported; {SENTINELS}"
            ));
        }
        Err(error) => return Some(format!("this is no URL ({error}); {RIGHT}")),
    };
    match url.scheme() {
        "redis" | "rediss" => {}
        scheme if scheme.contains("sentinel") => {
            return Some(format!("`{scheme}` is another spelling; {SENTINELS}"));
        }
        scheme => return Some(format!("`{scheme}` is another protocol; {RIGHT}")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some(format!("the host is missing; {RIGHT}"));
    }
    for (name, _) in url.query_pairs() {
        if name != "protocol" {
            return Some(format!(
                "`{name}` does nothing here; a database is named by the path, as in `redis://host:6379/3`"
            ));
        }
    }
    if url.fragment().is_some() {
        return Some(format!("what follows `#` does nothing here; {RIGHT}"));
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Some(format!(
            "what follows the host is the number of a database; {RIGHT}"
        ));
    }
    // It may know more; its words may repeat the address.
    let is_taken = bb8_redis::redis::Client::open(address).is_ok();
    (!is_taken).then(|| format!("the client of Redis does not take this address; {RIGHT}"))
}

fn names_several_hosts(address: &str) -> bool {
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (_, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    hosts.contains(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_not_repeated() {
        for address in [
            "redis://h",
            "redis://h:1/15",
            "redis://:pw@[::1]:6379/0",
            "redis://u:p@h",
            "rediss://:pw@h:6380/0",
            "redis+sentinel://:pw@h:1,i:2/orders/0",
            "redis://h:1/0?master_name=orders&addr=i:2",
        ] {
            assert_eq!(fault(address), None, "{address}");
        }
        for (address, wanted) in [
            ("hunter3:6379", "this is no URL; "),
            ("127.0.0.1:6379", "this is no URL"),
            ("http://h/hunter3", "`http` is another protocol"),
            ("redis:///0", "the host is missing"),
            ("redis://h/hunter3?db=3", "`db` does nothing here"),
            (
                "rediss://h/0#insecure",
                "what follows `#` does nothing here",
            ),
            (
                "redis://h/0?protocol=hunter3",
                "the client of Redis does not take this",
            ),
            ("redis://:%ff@h/0", "the client of Redis does not take this"),
            (
                "redis://:hunter3@h:1,i:2/0",
                "several hosts are those of Sentinels or of a cluster",
            ),
            (
                "redis-sentinel://h/hunter3",
                "`redis-sentinel` is another spelling; `redis+sentinel://",
            ),
            ("redis+sentinel://h:1,i:2", "the service is missing"),
            ("redis://h/hunter3", "what follows the host"),
            (
                "redis://h:99999/hunter3",
                "this is no URL (invalid port number)",
            ),
        ] {
            let message = fault(address).unwrap_or_default();
            assert!(
                message.starts_with(wanted) && !message.contains("hunter3"),
                "{address}: {message}"
            );
        }
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        let server = RedisSettings {
            url: Secret::new("redis://:hunter2@h:6379/0"),
        };
        assert_eq!(
            format!("{server:?}"),
            "RedisSettings { url: \"redis://:***@h:6379/0\" }"
        );
        let server = RedisSettings {
            url: Secret::new(
                "redis+sentinel://:hunter2@h:1,i:2/orders/0?sentinel_password=hunter2",
            ),
        };
        assert_eq!(server.redacted(), "redis+sentinel://:***@h:1,i:2/orders/0");
    }
}
