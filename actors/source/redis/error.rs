//! Classifies errors of a Redis server: the server is away for all queues, or refuses one queue's command.

use bb8_redis::redis::{ErrorKind, RedisError};

/// Why the server did not run a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server serves no client now, and may do so later.
    Away(String),
    /// The server refuses this command, and serves others.
    Refused(String),
}

/// Error codes of a server that serves no client, and the remedy.
const AWAY: [(&str, &str); 14] = [
    (
        "LOADING",
        "it is reading its data from disk; it will be back by itself",
    ),
    (
        "READONLY",
        "it is a replica; `url` must name the primary, or its Sentinels",
    ),
    (
        "MASTERDOWN",
        "it is a replica without its primary; `url` must name the primary, or its Sentinels",
    ),
    (
        "MISCONF",
        "it cannot write its data to disk; look at its log and its disk",
    ),
    (
        "NOREPLICAS",
        "it has fewer replicas than `min-replicas-to-write` asks for",
    ),
    ("BUSY ", "a script of somebody else takes all its time"),
    (
        "NOAUTH",
        "it wants a password; `redis://user:password@host:port/0` would give one",
    ),
    ("WRONGPASS", "user or password in `url` are wrong"),
    ("OOM ", "it has reached its `maxmemory`"),
    (
        "UNBLOCKED",
        "it has become a replica; `url` must name the primary, or its Sentinels",
    ),
    ("max number of clients", "raise its `maxclients`"),
    (
        "CLUSTERDOWN",
        "it is part of a cluster; a single server is needed",
    ),
    (
        "CROSSSLOT",
        "it is part of a cluster; a single server is needed",
    ),
    (
        "MOVED ",
        "it is part of a cluster; a single server is needed",
    ),
];

/// Error codes of a command that one queue alone is refused, and the remedy.
const REFUSED: [(&str, &str); 4] = [
    (
        "WRONGTYPE",
        "the key, or one of ours beside it (`KEY:simplest_script:…`), is no list; choose another `key`, or delete what is there",
    ),
    ("NOPERM", RIGHTS),
    // The library returns only the text of this error.
    ("has no permissions to run the 'select'", RIGHTS),
    // Inside of a script.
    ("The user executing the script can't", RIGHTS),
];

const RIGHTS: &str = "the user in `url` needs the rights that docs/en/configuration.md names under \"Redis lists\", on the list and on `KEY:simplest_script:*`";

/// Error codes of servers that answer reads and refuse every write.
const WRITES_REFUSED: [&str; 6] = [
    "READONLY",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM ",
    "UNBLOCKED",
];

/// Whether a server that is away for this cause may still answer reads.
pub(super) fn refuses_writes(cause: &str) -> bool {
    WRITES_REFUSED.iter().any(|code| cause.contains(code))
}

impl Fault {
    pub(super) fn of(error: &RedisError) -> Self {
        let text = match error.code() {
            Some(code) => format!("{code} {}", error.detail().unwrap_or_default()),
            None => error.to_string(),
        };
        // For an error inside of a script an older server puts the code into the middle of its text.
        let remedy = |table: &[(&str, &str)]| {
            let found = table.iter().find(|(code, _)| text.contains(code));
            found.map(|(_, remedy)| format!("{text}; {remedy}"))
        };
        if let Some(explained) = remedy(&REFUSED) {
            return Self::Refused(explained);
        }
        if let Some(explained) = remedy(&AWAY) {
            return Self::Away(explained);
        }
        match error.kind() {
            // During the handshake the library does not return the server's own text.
            ErrorKind::AuthenticationFailed => {
                Self::Away(format!("{text}; user or password in `url` are wrong"))
            }
            ErrorKind::Io | ErrorKind::Extension => Self::Away(text),
            _ if error.is_timeout() || error.is_connection_dropped() => Self::Away(text),
            _ => Self::Refused(text),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Away(text) | Self::Refused(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::make_extension_error;

    use super::*;

    #[test]
    fn each_trouble_is_its_own_or_everybodys_and_has_a_remedy() {
        let said = |text: &'static str| {
            let (code, detail) = text.split_once(' ').unwrap();
            let made = make_extension_error(code.to_owned(), Some(detail.to_owned()));
            Fault::of(&made)
        };
        for (text, remedy) in [
            (
                "READONLY You can't write against a read only replica.",
                "`url` must name the primary",
            ),
            (
                "ERR Error running script: @user_script:3: -READONLY You can't write",
                "must name the primary",
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                "back by itself",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "`maxmemory`",
            ),
        ] {
            let fault = said(text);
            assert!(
                matches!(&fault, Fault::Away(explained) if explained.contains(remedy)),
                "{fault:?}"
            );
        }
        for (text, remedy) in [
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                "is no list",
            ),
            (
                "NOPERM this user has no permissions to run the 'rpop' command",
                "configuration.md",
            ),
        ] {
            let fault = said(text);
            assert!(
                matches!(&fault, Fault::Refused(explained) if explained.contains(remedy)),
                "{fault:?}"
            );
        }
    }
}
