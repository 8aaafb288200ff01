//! The servers of the tests.

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::{connect, dialect};
use crate::config::Secret;
use crate::servers::postgres;

/// A gigabyte, which no test needs to make.
pub(super) const TOO_LARGE: Option<usize> = None;

/// A fresh database, and the server's port.
pub(super) fn servers() -> Vec<(String, u16)> {
    let server = postgres::shared();
    server
        .map(|server| (server.database(), server.port()))
        .into_iter()
        .collect()
}

/// A role of little rights, and how it is made. Roles are the server's, and tests run side by side.
pub(super) const LIMITED: &str = "limited";
pub(super) const MAKE_LIMITED: &str =
    "DO $$ BEGIN CREATE ROLE limited LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$";

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = "QUERY PLAN")]
    step: String,
}

/// Names the connection.
pub(super) const CONNECTION_ID: &str = "SELECT pg_backend_pid()::bigint AS id";

/// How the server answers a question.
pub(super) async fn plan(url: &str, question: &str) -> String {
    let mut connection = connect::open(&Secret::new(url)).await.unwrap();
    connection.batch_execute("ANALYZE").await.unwrap();
    let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN {question}"))
        .load(&mut connection)
        .await
        .unwrap();
    let lines = steps.into_iter().map(|row| row.step);
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) async fn plan_of_claims(url: &str) -> Vec<String> {
    let mut connection = connect::open(&Secret::new(url)).await.unwrap();
    connection.batch_execute("ANALYZE").await.unwrap();
    let claims = [
        dialect::CLAIM_TASKS
            .replace("$1", "'me'")
            .replace("$2", "0")
            .replace("$3", "2000000000")
            .replace("$4", "500")
            .replace("$5", "16777216"),
        dialect::CLAIM_MESSAGES
            .replace("$1", "'me'")
            .replace("$2", "'q'")
            .replace("$3", "500")
            .replace("$4", "16777216"),
    ];
    let mut plans = Vec::new();
    for claim in claims {
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN {claim}"))
            .load(&mut connection)
            .await
            .unwrap();
        // The select, which decides what is read; how the few found are updated depends on the table's size.
        let lines = steps.into_iter().map(|row| row.step);
        let select: Vec<String> = lines
            .skip_while(|line| !line.contains("CTE c"))
            .take_while(|line| {
                let ends = ["CTE b", "CTE Scan", "Join"];
                !ends.iter().any(|end| line.contains(end))
            })
            .collect();
        plans.push(select.join("\n"));
    }
    plans
}
