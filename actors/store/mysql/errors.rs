//! What the errors of MySQL and MariaDB mean, by their numbers.

use diesel::result::Error;

use super::connection::Connection;
use crate::store::error_class::Verdict;

/// What the error means, and its code for people.
pub(in crate::store) async fn verdict(
    connection: &mut Connection,
    error: &Error,
) -> (Verdict, Option<String>) {
    match connection.code_of(error).await {
        Some(code) => (of_code(code), Some(format!("error {code}"))),
        None => (Verdict::without_code(error), None),
    }
}

/// Whether a statement that alters gave up waiting for transactions that use the table.
pub(super) async fn is_lock_timeout(connection: &mut Connection, error: &Error) -> bool {
    connection.code_of(error).await == Some(LOCK_WAIT_TIMEOUT)
}

const LOCK_WAIT_TIMEOUT: u32 = 1205;

fn of_code(code: u32) -> Verdict {
    match code {
        // A deadlock, a record that changed since it was read, an altered table, a statement to be prepared anew, too many
        // transactions, a rollback of group replication.
        1213 | 1020 | 1412 | 1615 | 1637 | 3101 => Verdict::Conflict,
        // Interrupted by an operator, by `max_statement_time` (MariaDB) or `max_execution_time`; a lock with NOWAIT.
        LOCK_WAIT_TIMEOUT | 1317 | 1969 | 3024 | 3572 => Verdict::Waited,
        1062 | 1586 | 1859 => Verdict::Duplicate,
        // The disk or the tablespace is full.
        1021 | 1114 => Verdict::Closed,
        // Too many connections, of all or of ours, or of what a user may do in an hour; too many prepared statements.
        1040 | 1203 | 1226 | 1461 => Verdict::Closed,
        // Read-only, offline, or a node of a cluster that is not ready.
        1290 | 1792 | 1836 | 3032 | 1047 => Verdict::Closed,
        // The server shuts down, or has ended this connection.
        1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 4031 => Verdict::Broken,
        // Out of memory or descriptors, an error of the storage engine, a message larger than the server takes: the write
        // may be the reason. A statement that is not prepared any more: gone with the connection.
        1028 | 1030 | 1037 | 1038 | 1041 | 1135 | 1153 | 1243 => Verdict::Broken,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_errors_mean() {
        for (code, verdict) in [
            (1644, Verdict::Refused),
            (1142, Verdict::Refused),
            (1406, Verdict::Refused),
            (1062, Verdict::Duplicate),
            (1213, Verdict::Conflict),
            (1205, Verdict::Waited),
            (1053, Verdict::Broken),
            (1290, Verdict::Closed),
            (1114, Verdict::Closed),
        ] {
            assert_eq!(of_code(code), verdict, "{code}");
        }
    }
}
