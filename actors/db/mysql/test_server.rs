//! The server of the tests.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;

use super::by_ids::list;
use super::{connect, dialect, named};
use crate::config::Secret;
use crate::servers::mariadb;

/// More than `max_allowed_packet`, 16 MB by default.
pub(super) const TOO_LARGE: Option<usize> = Some(16 << 20);

/// A fresh database, and the server's port.
pub(super) fn server() -> Option<(String, u16)> {
    let server = mariadb::shared()?;
    Some((server.database(), server.port()))
}

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

pub(super) async fn plan_of_claims(url: &str) -> Vec<String> {
    let mut connection = connect::open(&Secret::new(url)).await.unwrap();
    let claims = [
        dialect::CLAIM_TASKS
            .replacen('?', "0", 1)
            .replacen('?', "2000000000", 1)
            .replacen('?', "500", 1),
        dialect::CLAIM_MESSAGES
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
            "q.owner = 'me' FOR UPDATE",
        ),
        named::update("delay_queue_log", "owner = ''", &ids),
        named::update("queue_message", "owner = ''", &ids),
        named::delete("queue_message", &ids),
    ];
    let claims = claims.into_iter().chain(by_ids);
    let mut plans = Vec::new();
    for claim in claims {
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN {claim}"))
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
