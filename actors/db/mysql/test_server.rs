//! The server of the tests.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;

use super::{connect, dialect};
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
    key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    #[diesel(column_name = "Extra")]
    extra: Option<String>,
}

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
    let ids: Vec<String> = (1..400).map(|id| id.to_string()).collect();
    let by_ids = [
        format!("SELECT id FROM {} WHERE", dialect::TASKS),
        format!("UPDATE {} SET owner = '' WHERE", dialect::TASKS),
        format!("UPDATE {} SET owner = '' WHERE", dialect::MESSAGES),
        format!("{} WHERE", dialect::delete_from_messages()),
    ]
    .map(|statement| format!("{statement} id IN ({})", ids.join(",")));
    let claims = claims.into_iter().chain(by_ids);
    let mut plans = Vec::new();
    for claim in claims {
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN {claim}"))
            .load(&mut connection)
            .await
            .unwrap();
        let line = |step: Step| format!("{:?} {:?}", step.key, step.extra);
        plans.push(steps.into_iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    plans
}
