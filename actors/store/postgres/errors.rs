//! What PostgreSQL's errors mean, by their SQLSTATE.

use diesel::result::Error;

use super::connection::Connection;
use crate::store::error_class::Verdict;

/// What the error means, and its code for people.
pub(in crate::store) async fn verdict(
    connection: &mut Connection,
    error: &Error,
) -> (Verdict, Option<String>) {
    match connection.code_of(error) {
        Some(code) => (of_code(&code), Some(format!("SQLSTATE {code}"))),
        None => (Verdict::without_code(error), None),
    }
}

/// Whether a statement that alters gave up waiting for transactions that use the table.
pub(super) async fn is_lock_timeout(connection: &mut Connection, error: &Error) -> bool {
    connection.code_of(error).as_deref() == Some("55P03")
}

fn of_code(code: &str) -> Verdict {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Verdict::Conflict,
        // lock_not_available, query_canceled
        "55P03" | "57014" => Verdict::Waited,
        // unique_violation
        "23505" => Verdict::Duplicate,
        // read_only_sql_transaction, insufficient_resources, disk_full, too_many_connections, configuration_limit_exceeded
        "25006" | "53000" | "53100" | "53300" | "53400" => Verdict::Closed,
        // out_of_memory: the statement may be the reason. A plan that an altered table made useless
        // (feature_not_supported), and a statement that is not prepared any more: gone with the connection.
        "53200" | "0A000" | "26000" => Verdict::Broken,
        // idle_in_transaction_session_timeout, transaction_timeout, protocol_violation
        "25P03" | "25P04" | "08P01" => Verdict::Broken,
        // connection_exception, operator_intervention (a shutdown, a connection that is ended), system_error
        other
            if ["08", "57", "58"]
                .iter()
                .any(|class| other.starts_with(class)) =>
        {
            Verdict::Broken
        }
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_errors_mean() {
        for (code, verdict) in [
            ("P0001", Verdict::Refused),
            ("42501", Verdict::Refused),
            ("22001", Verdict::Refused),
            ("23505", Verdict::Duplicate),
            ("40P01", Verdict::Conflict),
            ("57014", Verdict::Waited),
            ("57P01", Verdict::Broken),
            ("58030", Verdict::Broken),
            ("53100", Verdict::Closed),
        ] {
            assert_eq!(of_code(code), verdict, "{code}");
        }
    }
}
