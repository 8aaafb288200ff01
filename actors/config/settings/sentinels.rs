//! Addresses of Redis servers that Sentinels watch, in two spellings:
//!
//! - `redis+sentinel://[user:password@]host:port,host:port/service/db`: user and password are those of Redis;
//! - `redis://[user:password@]host:port/db?master_name=service&addr=host:port`, as go-redis' `ParseFailoverURL` reads it:
//!   user and password are those of the Sentinels, and `username` and `password` behind the `?` those of Redis.

use url::Url;

use crate::config::secret::Secret;

/// Where Sentinels listen. In its own spelling go-redis takes the port of Redis itself.
const SENTINEL_PORT: u16 = 26379;
const GO_PORT: u16 = 6379;

const RIGHT: &str =
    "`redis+sentinel://[user:password@]host:26379,host:26379/service/0` would be right";

/// What go-redis takes beside the address. Here they would do nothing.
const OF_GO_REDIS: [&str; 24] = [
    "client_name",
    "route_by_latency",
    "route_randomly",
    "replica_only",
    "use_disconnected_replicas",
    "protocol",
    "max_retries",
    "min_retry_backoff",
    "max_retry_backoff",
    "dial_timeout",
    "read_timeout",
    "write_timeout",
    "context_timeout_enabled",
    "pool_fifo",
    "pool_size",
    "min_idle_conns",
    "max_idle_conns",
    "max_active_conns",
    "conn_max_lifetime",
    "conn_max_idle_time",
    "pool_timeout",
    "disableIdentity",
    "identitySuffix",
    "unstable_resp3",
];

/// Sentinels, and the service of theirs whose primary is meant.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SentinelAddress {
    /// Each with its login, as `redis://` or `rediss://`.
    pub(crate) sentinels: Vec<Secret>,
    /// The name by which they know the primary.
    pub(crate) service: String,
    /// How to log in at the primary, and its database: an address whose host means nothing.
    pub(crate) login: Secret,
    /// As it may be logged.
    pub(crate) shown: String,
}

impl SentinelAddress {
    /// `None`: an address of another kind.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without repeating it.
    pub(crate) fn parse(address: &str) -> Result<Option<Self>, String> {
        let parts = match address.split_once("://") {
            Some(("redis+sentinel", rest)) => Parts::read("redis", rest)?,
            Some(("rediss+sentinel", rest)) => Parts::read("rediss", rest)?,
            Some(("redis" | "rediss", _)) if is_of_go_redis(address) => Parts::read_go(address)?,
            _ => return Ok(None),
        };
        parts.address().map(Some)
    }
}

fn is_of_go_redis(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| {
        url.query_pairs()
            .any(|(name, _)| name == "master_name" || name == "addr")
    })
}

/// A name and a password, both as addresses write them.
#[derive(Default)]
struct Login {
    user: String,
    password: String,
}

/// What both spellings say.
struct Parts {
    /// `redis` or `rediss`, for Redis and the Sentinels alike.
    scheme: &'static str,
    hosts: Vec<Url>,
    service: String,
    database: u32,
    redis: Login,
    sentinel: Login,
}

impl Parts {
    /// What follows `redis+sentinel://`.
    fn read(scheme: &'static str, rest: &str) -> Result<Self, String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts: Result<Vec<Url>, String> = (1..)
            .zip(hosts.split(','))
            .map(|(number, host)| sentinel(host, number, SENTINEL_PORT))
            .collect();
        // With a host in the place of theirs it is an address that can be read.
        let url = Url::parse(&format!("redis://{login}@h{path}"));
        let url = url.map_err(|error| format!("this is no URL ({error}); {RIGHT}"))?;
        let (service, database) = path_of(&url)?;
        let mut parts = Self {
            scheme,
            hosts: hosts?,
            service,
            database,
            redis: Login::of(&url),
            sentinel: Login::default(),
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "sentinel_username" => parts.sentinel.user = written(&value),
                "sentinel_password" => parts.sentinel.password = written(&value),
                _ => {
                    return Err(format!(
                        "`{name}` is no parameter of it; they are `sentinel_username` and `sentinel_password`"
                    ));
                }
            }
        }
        Ok(parts)
    }

    fn read_go(address: &str) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|error| format!("this is no URL ({error})"))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let mut parts = Self {
            scheme: if url.scheme() == "rediss" {
                "rediss"
            } else {
                "redis"
            },
            hosts: vec![sentinel(&host, 1, GO_PORT)?],
            service: String::new(),
            database: database(url.path().trim_matches('/'))?,
            redis: Login::default(),
            sentinel: Login::of(&url),
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "master_name" => parts.service = value.into_owned(),
                "addr" => {
                    let number = parts.hosts.len() + 1;
                    parts.hosts.push(sentinel(&value, number, GO_PORT)?);
                }
                "db" => parts.database = database(&value)?,
                "username" => parts.redis.user = written(&value),
                "password" => parts.redis.password = written(&value),
                "sentinel_username" => parts.sentinel.user = written(&value),
                "sentinel_password" => parts.sentinel.password = written(&value),
                "skip_verify" => {
                    return Err(
                        "`skip_verify` is not supported: name the authority that signed the certificates \
                         in the environment variable `SSL_CERT_FILE`, and leave it out"
                            .to_owned(),
                    );
                }
                name if OF_GO_REDIS.contains(&name) => {
                    return Err(format!(
                        "`{name}` is one of go-redis and does nothing here; leave it out"
                    ));
                }
                name => {
                    return Err(format!(
                        "`{name}` is no parameter of it; they are `master_name`, `addr`, `db`, `username`, `password`, \
                         `sentinel_username` and `sentinel_password`"
                    ));
                }
            }
        }
        if parts.service.is_empty() {
            return Err(
                "`master_name` is missing: the name by which the Sentinels know the primary"
                    .to_owned(),
            );
        }
        Ok(parts)
    }

    fn address(self) -> Result<SentinelAddress, String> {
        let with = |login: &Login, url: &Url| {
            let mut url = Url::parse(&url.as_str().replacen(
                "redis:",
                &format!("{}:", self.scheme),
                1,
            ))
            .map_err(|error| format!("this is no URL ({error}); {RIGHT}"))?;
            let password = (!login.password.is_empty()).then_some(login.password.as_str());
            // Both fail only where there is no host.
            let refused = || format!("the host is missing; {RIGHT}");
            url.set_username(&login.user).map_err(|()| refused())?;
            url.set_password(password).map_err(|()| refused())?;
            Ok::<Url, String>(url)
        };
        let mut sentinels = Vec::new();
        let mut hosts = Vec::new();
        for host in &self.hosts {
            sentinels.push(Secret::new(with(&self.sentinel, host)?));
            let port = host.port().unwrap_or(SENTINEL_PORT);
            hosts.push(format!("{}:{port}", host.host_str().unwrap_or_default()));
        }
        let mut login = with(&self.redis, &self.hosts[0])?;
        login.set_path(&self.database.to_string());
        let secret = match (self.redis.user.is_empty(), self.redis.password.is_empty()) {
            (true, true) => String::new(),
            (_, true) => format!("{}@", self.redis.user),
            (_, false) => format!("{}:***@", self.redis.user),
        };
        Ok(SentinelAddress {
            shown: format!(
                "{}+sentinel://{secret}{}/{}/{}",
                self.scheme,
                hosts.join(","),
                self.service,
                self.database
            ),
            sentinels,
            service: self.service,
            login: Secret::new(login),
        })
    }
}

impl Login {
    fn of(url: &Url) -> Self {
        Self {
            user: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
        }
    }
}

/// A value as addresses write it: what else they must not hold is written so by `Url` itself.
fn written(value: &str) -> String {
    value.replace('%', "%25")
}

/// One Sentinel, as an address without login.
fn sentinel(host: &str, number: usize, port: u16) -> Result<Url, String> {
    let wrong = |why: &str| format!("the address of Sentinel {number} is none ({why}); {RIGHT}");
    let mut url =
        Url::parse(&format!("redis://{host}")).map_err(|error| wrong(&error.to_string()))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("empty host"));
    }
    if !url.username().is_empty() || !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(wrong("`host:port` is wanted"));
    }
    if url.port().is_none() {
        url.set_port(Some(port)).map_err(|()| wrong("empty host"))?;
    }
    Ok(url)
}

/// Service and database.
fn path_of(url: &Url) -> Result<(String, u32), String> {
    let path = url.path().trim_matches('/');
    let (service, number) = path.split_once('/').unwrap_or((path, ""));
    let is_number = number.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit());
    if service.is_empty() || is_number {
        return Err(format!(
            "the service is missing: the name by which the Sentinels know the primary; {RIGHT}"
        ));
    }
    Ok((service.to_owned(), database(number)?))
}

fn database(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let wrong = |_| format!("the database is no number; {RIGHT}");
    text.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> SentinelAddress {
        SentinelAddress::parse(address).unwrap().unwrap()
    }

    fn sentinels(address: &SentinelAddress) -> Vec<&str> {
        address.sentinels.iter().map(Secret::expose).collect()
    }

    #[test]
    fn sentinels_their_service_and_the_login_at_redis_are_read() {
        let address = read("redis+sentinel://u:p%40%25@a:1,[::1],c/orders/3");
        assert_eq!(
            sentinels(&address),
            ["redis://a:1", "redis://[::1]:26379", "redis://c:26379"]
        );
        assert_eq!(address.service, "orders");
        assert_eq!(address.login.expose(), "redis://u:p%40%25@a:1/3");
        assert_eq!(
            address.shown,
            "redis+sentinel://u:***@a:1,[::1]:26379,c:26379/orders/3"
        );
        let address =
            read("rediss+sentinel://a/orders?sentinel_username=s&sentinel_password=x%25%2B%26");
        assert_eq!(sentinels(&address), ["rediss://s:x%25+&@a:26379"]);
        assert_eq!(address.login.expose(), "rediss://a:26379/0");
        assert_eq!(address.shown, "rediss+sentinel://a:26379/orders/0");
    }

    #[test]
    fn the_spelling_of_go_redis_means_what_it_means_there() {
        let address = read(
            "redis://s:x@localhost:6789/2?master_name=mymaster&addr=localhost:6790&addr=b:6791&username=u&password=p",
        );
        assert_eq!(
            sentinels(&address),
            [
                "redis://s:x@localhost:6789",
                "redis://s:x@localhost:6790",
                "redis://s:x@b:6791"
            ]
        );
        assert_eq!(address.service, "mymaster");
        assert_eq!(address.login.expose(), "redis://u:p@localhost:6789/2");
        assert_eq!(
            read("redis://a?master_name=m&db=4").login.expose(),
            "redis://a:6379/4"
        );
    }

    #[test]
    fn other_addresses_are_none_of_sentinels() {
        for address in [
            "redis://h:1/15",
            "rediss://h",
            "http://h/?master_name=x",
            "h:6379",
        ] {
            assert!(
                SentinelAddress::parse(address).unwrap().is_none(),
                "{address}"
            );
        }
    }

    #[test]
    fn wrong_addresses_are_reported_and_not_repeated() {
        for (address, wanted) in [
            ("redis+sentinel://hunter2:1", "the service is missing"),
            ("redis+sentinel://hunter2:1/0", "the service is missing"),
            (
                "redis+sentinel:///orders/0",
                "the address of Sentinel 1 is none (empty host)",
            ),
            (
                "redis+sentinel://a:1,,b/orders/0",
                "the address of Sentinel 2 is none (empty host)",
            ),
            (
                "redis+sentinel://a:1,hunter2:x/orders/0",
                "the address of Sentinel 2 is none (invalid port number)",
            ),
            (
                "redis+sentinel://a/orders/hunter2",
                "the database is no number",
            ),
            (
                "redis+sentinel://a/orders/0?db=1",
                "`db` is no parameter of it",
            ),
            ("redis://a/0?addr=b:1", "`master_name` is missing"),
            (
                "redis://a/0?master_name=m&pool_size=5",
                "`pool_size` is one of go-redis and does nothing here",
            ),
            (
                "redis://a/0?master_name=m&skip_verify=true",
                "`skip_verify` is not supported",
            ),
            (
                "redis://a/0?master_name=m&masters=1",
                "`masters` is no parameter",
            ),
            (
                "redis://a/hunter2?master_name=m",
                "the database is no number",
            ),
            (
                "redis://a/0?master_name=m&addr=hunter2:x",
                "the address of Sentinel 2 is none",
            ),
        ] {
            let message = SentinelAddress::parse(address).err().unwrap_or_default();
            assert!(
                message.starts_with(wanted) && !message.contains("hunter2"),
                "{address}: {message}"
            );
        }
    }
}
