//! Where MySQL and MariaDB differ. Everything else of this folder is the same text for both.
//!
//! What differs in a statement stands in a comment that only one of them runs: the server decides it by its own version,
//! behind a proxy that reports another one too. MySQL 8 and later run `/*!80000 … */`; MariaDB runs no comment of a version
//! from 5.7.0 to 9.99.99, as those are MySQL's. `/*M!100500 … */` is for MariaDB from 10.5 on.

use crate::store::error::DbError;

/// Locks the rows of `q` alone. MySQL would lock those of the list of ids too, and refuses that; MariaDB has no `OF`.
pub(super) const FOR_UPDATE_OF_ROWS: &str = "FOR UPDATE /*!80000 OF q */";

/// Has an insert answer its ids at once. MySQL has no `RETURNING`.
pub(super) const RETURNING_ID: &str = " /*M!100500 RETURNING CAST(id AS SIGNED) */";

fn is_mariadb(version: &str) -> bool {
    version.contains("MariaDB")
}

/// The name of the program and its version, for people.
pub(super) fn program(version: &str) -> String {
    let program = match is_mariadb(version) {
        true => "MariaDB",
        false => "MySQL",
    };
    format!("{program} {version}")
}

/// `SKIP LOCKED` and `ALGORITHM=INSTANT` came with these.
pub(super) fn refuse_old(version: &str) -> Result<(), DbError> {
    let wanted = match is_mariadb(version) {
        true => (10, 6, 0),
        false => (8, 0, 12),
    };
    // MariaDB may stand behind a prefix for old replicas: `5.5.5-10.11.6-MariaDB`.
    let own = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = own
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0_u32);
    let found = (next(), next(), next());
    if found >= wanted {
        return Ok(());
    }
    Err(DbError::Migrate(format!(
        "the server is {version}; wanted MySQL 8.0.12 or MariaDB 10.6, or newer"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for good in [
            "8.0.12",
            "8.4.0",
            "9.1.0-log",
            "10.6.0-MariaDB",
            "5.5.5-10.11.6-MariaDB-1",
            "11.4.2-MariaDB",
        ] {
            assert!(refuse_old(good).is_ok(), "{good}");
        }
        for old in [
            "5.7.44",
            "8.0.11",
            "10.5.28-MariaDB",
            "5.5.5-10.4.1-MariaDB",
            "",
        ] {
            assert!(refuse_old(old).is_err(), "{old}");
        }
    }
}
