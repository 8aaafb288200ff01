//! Who ordered what, the newest first.

use diesel::sql_types::{BigInt, Text};

use super::by_id::ById;
use super::sql::{Sql, Words};
use super::{Browse, Page, Reach, Rows, search};
use crate::store::error::DbError;

/// Which orders are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditAsked {
    pub(crate) environment: String,
    /// In the name of who ordered.
    pub(crate) who: Option<String>,
    /// As the column has it: `pause`, `replay`, ...
    pub(crate) action: Option<String>,
    /// In what the order is about, or in what came of it.
    pub(crate) text: Option<String>,
    /// Older than this id.
    pub(crate) before: Option<i64>,
}

impl AuditAsked {
    /// All of an environment.
    pub(crate) fn of(environment: &str) -> Self {
        Self {
            environment: environment.to_owned(),
            who: None,
            action: None,
            text: None,
            before: None,
        }
    }
}

/// A row of `audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditLine {
    pub(crate) id: i64,
    /// Unix milliseconds of the database's clock.
    pub(crate) at_ms: i64,
    pub(crate) ordered_by: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) result: String,
}

/// `keeps` leaves out orders that the text cannot distinguish.
pub(crate) async fn audits(
    reader: &(impl Browse + ?Sized),
    asked: AuditAsked,
    keeps: impl Fn(&AuditLine) -> bool,
    reach: Reach,
) -> Result<Page<AuditLine, i64>, DbError> {
    let step = async |before, rows| {
        let asked = AuditAsked {
            before,
            ..asked.clone()
        };
        reader.audit_step(asked, rows).await
    };
    search(reach, asked.before, |line| line.id, keeps, step).await
}

#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawAudit {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    at_ms: i64,
    #[diesel(sql_type = Text)]
    ordered_by: String,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Text)]
    target: String,
    #[diesel(sql_type = Text)]
    result: String,
}

impl RawAudit {
    pub(in crate::store) fn read(self) -> AuditLine {
        AuditLine {
            id: self.id,
            at_ms: self.at_ms,
            ordered_by: self.ordered_by,
            action: self.action,
            target: self.target,
            result: self.result,
        }
    }
}

const COLUMNS: &str = "id, at_ms, ordered_by, action, target, result";

fn by_id(words: Words, asked: &AuditAsked) -> ById {
    ById {
        words,
        table: "audit",
        before: asked.before,
    }
}

/// The last row of the step, from the primary key alone.
pub(in crate::store) fn edge(words: Words, asked: &AuditAsked, rows: Rows) -> Sql {
    by_id(words, asked).edge(rows)
}

/// The rows of the step that are asked for.
pub(in crate::store) fn rows(
    words: Words,
    asked: &AuditAsked,
    edge: Option<i64>,
    rows: Rows,
) -> Sql {
    by_id(words, asked).rows(COLUMNS, edge, rows, |sql| {
        sql.is("environment", Some(&asked.environment))
            .is("action", asked.action.as_ref())
            .has(&["ordered_by"], asked.who.as_ref())
            .has(&["target", "result"], asked.text.as_ref());
    })
}

/// Rows of orders about delayed tasks and dead letters behind this id, the oldest first; at most this number.
pub(in crate::store) fn tail(words: Words, environment: &str, after: i64, rows: u32) -> Sql {
    let mut sql = Sql::new(words, "SELECT ");
    sql.push(COLUMNS)
        .push(" FROM audit")
        .push(&format!(" WHERE id > {after}"))
        .is("environment", Some(&environment.to_owned()))
        .push(" AND (target LIKE 'delayed task%' OR target LIKE '%dead letter%')")
        .push(&format!(" ORDER BY id LIMIT {rows}"));
    sql
}
