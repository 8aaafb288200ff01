//! The servers of the tests.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;

use super::common::ids::list;
use super::{connect, dialect, named};
use crate::config::Secret;
use crate::servers::{mariadb, mysql};

/// More than `max_allowed_packet`: 16 MB by default on MariaDB, 64 MB on MySQL.
pub(super) const TOO_LARGE: Option<usize> = Some(64 << 20);

/// A fresh database on each, and the server's port.
pub(super) fn servers() -> Vec<(String, u16)> {
    let mariadb = mariadb::shared().map(|server| (server.database(), server.port()));
    let mysql = mysql::shared().map(|server| (server.database(), server.port()));
    mariadb.into_iter().chain(mysql).collect()
}

/// A role of little rights, and how it is made. Roles are the server's, and tests run side by side.
pub(super) const LIMITED: &str = "limited@'%'";
pub(super) const MAKE_LIMITED: &str = "CREATE USER IF NOT EXISTS limited@'%' IDENTIFIED BY ''";

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Nullable<Text>)]
    table: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    #[diesel(column_name = "Extra")]
    extra: Option<String>,
}

/// Names the connection.
pub(super) const CONNECTION_ID: &str = "SELECT CAST(CONNECTION_ID() AS SIGNED) AS id";

/// How the server answers a question.
pub(super) async fn plan(url: &str, question: &str) -> String {
    let mut connection = connect::open(&Secret::new(url)).await.unwrap();
    let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN FORMAT=TRADITIONAL {question}"))
        .load(&mut connection)
        .await
        .unwrap();
    let line = |step: Step| format!("{:?} {:?} {:?}", step.table, step.key, step.extra);
    steps.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) async fn plan_of_claims(url: &str) -> Vec<String> {
    let mut connection = connect::open(&Secret::new(url)).await.unwrap();
    let claims = [
        dialect::CLAIM_TASKS
            .replacen('?', "33554", 1)
            .replacen('?', "0", 1)
            .replacen('?', "2000000000", 1)
            .replacen('?', "500", 1),
        dialect::CLAIM_MESSAGES
            .replacen('?', "11184", 3)
            .replacen('?', "'q'", 1)
            .replacen('?', "500", 1),
    ];
    let ids: Vec<i64> = (1..400).collect();
    let ids = list(&ids);
    let by_ids = [
        named::select(
            "q.id, q.fence",
            "delay_queue_log",
            &ids,
            &format!("q.owner = 'me' {}", dialect::FOR_UPDATE_OF_ROWS),
        ),
        named::update("delay_queue_log", "owner = ''", &ids),
        named::update("queue_message", "owner = ''", &ids),
        named::delete("queue_message", &ids),
    ];
    let claims = claims.into_iter().chain(by_ids);
    let mut plans = Vec::new();
    for claim in claims {
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN FORMAT=TRADITIONAL {claim}"))
            .load(&mut connection)
            .await
            .unwrap();
        let line = |step: Step| format!("{:?} {:?} {:?}", step.table, step.key, step.extra);
        // The list of ids is a table too, and read as a whole.
        let steps = steps
            .into_iter()
            .filter(|step| step.table.as_deref() != Some("v"));
        plans.push(steps.map(line).collect::<Vec<_>>().join("\n"));
    }
    plans
}
