//! The keys `database` and `databases`: an address in URL or in Go form, and how many connections.

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr};

use url::Url;

use super::go_dsn;
use crate::address;
use crate::config::secret::{self, Secret};
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;

/// More connections than this no server of ours accepts.
const MOST_CONNECTIONS: u64 = 1_000;

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Where it is.
    pub url: DatabaseUrl,
    /// How many connections the pool opens at most.
    pub max_connections: NonZeroU32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::Sqlite(PathBuf::from("data/simplest_script.db")),
            max_connections: NonZeroU32::MIN.saturating_add(7),
        }
    }
}

impl DatabaseSettings {
    /// The daemon's own, which has a default.
    pub(super) fn read_own(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let url = o.optional("url", Self::default().url, address);
            Self::with_url(o, url)
        })
    }

    /// One of the others.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let url = o.required(
                "url",
                "the database, such as `mysql://user:password@host:3306/db`",
                address,
            );
            Self::with_url(o, url)
        })
    }

    fn with_url(o: &Object<'_, '_>, url: Option<DatabaseUrl>) -> Option<Self> {
        let default = Self::default().max_connections;
        let most = o.optional("max_connections", default, |node| {
            node.positive(MOST_CONNECTIONS)
        });
        Some(Self {
            url: url?,
            max_connections: most?,
        })
    }
}

/// Its file may not be there yet; a directory never becomes one.
fn address(node: &Node<'_>) -> Option<DatabaseUrl> {
    let url = node.parsed_secret()?;
    match &url {
        DatabaseUrl::Sqlite(path)
            if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") =>
        {
            node.fault("this is a directory; wanted a file's path after `sqlite://`");
            None
        }
        _ => Some(url),
    }
}

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file; a relative path starts at the working directory.
    Sqlite(PathBuf),
    /// A `mysql://` URL.
    Mysql(Secret),
    /// A `postgres://` URL.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// The address as it may be logged.
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Mysql(url) | Self::Postgres(url) => secret::redacted(url.expose()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Why an address is none; does not repeat it, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDatabaseUrl {
    /// Neither of the known forms.
    #[error(
        "wanted `sqlite://data/file.db`, `mysql://user:password@host:3306/db`, \
         `postgres://user:password@host:5432/db` or the Go form `user:password@tcp(host:3306)/db`"
    )]
    Form,
    /// A URL the library does not take.
    #[error(
        "this is no URL ({0}); do `@`, `:`, `/`, `#` in the password stand as `%40`, `%3A`, `%2F`, `%23`?"
    )]
    Url(#[from] url::ParseError),
    /// Nobody to connect to.
    #[error("the host is missing; `scheme://user:password@host/db` would be right")]
    Host,
    /// A server has many databases.
    #[error("the database's name is missing; `…@host/db` would be right")]
    Name,
    /// What follows the path would be part of the file's name.
    #[error(
        "nothing may follow the file's path: a query (`?…`) or fragment (`#…`) is not supported"
    )]
    Options,
    /// SQLite in memory.
    #[error("wanted a file's path after `sqlite://`: what it keeps must outlive the process")]
    File,
    /// A parameter that the database's library does not know, or not with this value.
    #[error("{0}")]
    Parameter(String),
    /// A parameter of the Go form with a meaning that would be lost.
    #[error(
        "the parameter `{0}` of the Go form is not taken over; leave it out, or write a `mysql://` URL"
    )]
    GoParameter(String),
    /// A configuration that the Go program registered under a name.
    #[error(
        "`tls={0}` is a name that only the Go program's code knows; a URL, such as \
         `mysql://user:password@host:3306/db?ssl_mode=verify_identity&ssl_ca=FILE`, would be right"
    )]
    GoTls(String),
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("://") {
            Some(("sqlite", path)) => sqlite(path),
            Some(("mysql", _)) => mysql(text),
            Some(("postgres" | "postgresql", _)) => {
                let url = server(text)?;
                address::postgres::check(text).map_err(BadDatabaseUrl::Parameter)?;
                Ok(Self::Postgres(url))
            }
            _ => mysql(&go_dsn::to_url(text)?),
        }
    }
}

fn sqlite(path: &str) -> Result<DatabaseUrl, BadDatabaseUrl> {
    if !path.is_empty() && path.contains(['?', '#']) {
        return Err(BadDatabaseUrl::Options);
    }
    if path.is_empty() || path.contains([':', '\0']) {
        return Err(BadDatabaseUrl::File);
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

fn mysql(text: &str) -> Result<DatabaseUrl, BadDatabaseUrl> {
    let url = server(text)?;
    address::mysql::check(text).map_err(BadDatabaseUrl::Parameter)?;
    Ok(DatabaseUrl::Mysql(url))
}

fn server(text: &str) -> Result<Secret, BadDatabaseUrl> {
    let url = Url::parse(text)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(BadDatabaseUrl::Host);
    }
    if url.path().trim_start_matches('/').is_empty() {
        return Err(BadDatabaseUrl::Name);
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_scheme() {
        for (text, wanted) in [
            (
                "sqlite://data/a.db",
                DatabaseUrl::Sqlite("data/a.db".into()),
            ),
            (
                "sqlite:///var/a.db",
                DatabaseUrl::Sqlite("/var/a.db".into()),
            ),
            (
                "mysql://u:p@h/db",
                DatabaseUrl::Mysql(Secret::new("mysql://u:p@h/db")),
            ),
            (
                "postgres://h/db",
                DatabaseUrl::Postgres(Secret::new("postgres://h/db")),
            ),
            (
                "postgresql://h/db",
                DatabaseUrl::Postgres(Secret::new("postgresql://h/db")),
            ),
            (
                "u:p@tcp(h:3307)/db",
                DatabaseUrl::Mysql(Secret::new("mysql://u:p@h:3307/db")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for (text, wanted) in [
            ("", BadDatabaseUrl::Form),
            ("data/a.db", BadDatabaseUrl::Form),
            ("oracle://h/db", BadDatabaseUrl::Form),
            ("sqlite://", BadDatabaseUrl::File),
            ("sqlite://:memory:", BadDatabaseUrl::File),
            ("sqlite://a.db?mode=ro", BadDatabaseUrl::Options),
            ("sqlite://a.db#x", BadDatabaseUrl::Options),
            ("mysql://h", BadDatabaseUrl::Name),
            ("mysql://h/", BadDatabaseUrl::Name),
            ("mysql:///db", BadDatabaseUrl::Host),
            (
                "postgres://h:99999/db",
                BadDatabaseUrl::Url(url::ParseError::InvalidPort),
            ),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(wanted), "{text}");
        }
    }

    #[test]
    fn unknown_database_parameters_are_faults_without_a_connection() {
        for (text, wanted) in [
            (
                "postgres://h/db?sslmode=on",
                "`sslmode=on`: wanted `disable`",
            ),
            ("postgres://h/db?colour=red", "`colour`"),
            ("mysql://h/db?colour=red", "`colour'"),
            ("mysql://h/db?require_ssl=perhaps", "`require_ssl'"),
        ] {
            let fault = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(fault.contains(wanted), "{text}: {fault}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let url: DatabaseUrl = "root:hunter2@tcp(h:3306)/db".parse().unwrap();
        assert_eq!(format!("{url:?}"), "mysql://root:***@h:3306/db");
    }
}
