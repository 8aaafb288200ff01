//! A connection that knows the codes of its errors. diesel-async keeps the texts of MySQL's errors and drops their numbers;
//! the server still has them, until the next statement.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::time::timeout;

use super::server::limits::Limits;
use crate::store::parts::Unclaimable;

/// See the module's header.
pub(in crate::store) struct Connection {
    inner: AsyncMysqlConnection,
    pub(super) limits: Limits,
    pub(super) unclaimable: Unclaimable,
}

/// A server that has just reported an error answers this at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of the conditions that a statement leaves, the first and the last. Not `SHOW ERRORS`: its rows can only be had of a
/// prepared statement here, and MySQL forgets the conditions when it prepares one.
const GET_CODES: &str = "\
    GET DIAGNOSTICS @simplest_script_number = NUMBER; \
    GET DIAGNOSTICS CONDITION 1 \
        @simplest_script_first = MYSQL_ERRNO, @simplest_script_state = RETURNED_SQLSTATE; \
    GET DIAGNOSTICS CONDITION @simplest_script_number @simplest_script_last = MYSQL_ERRNO";

/// The first is what the statement failed with, as errors behind it follow from it; unless that is a warning (`01…`).
const ASK_CODE: &str = "\
    SELECT CAST(IF(@simplest_script_state LIKE '01%', @simplest_script_last, @simplest_script_first) AS SIGNED) AS code";

#[derive(QueryableByName)]
struct Code {
    #[diesel(sql_type = Nullable<BigInt>)]
    code: Option<i64>,
}

impl Connection {
    pub(super) fn new(inner: AsyncMysqlConnection) -> Self {
        Self {
            inner,
            limits: Limits::default(),
            unclaimable: Unclaimable::default(),
        }
    }

    /// The number of the error, which is that of this connection's last statement. None: the server did not return it,
    /// or is gone.
    pub(super) async fn code_of(&mut self, error: &Error) -> Option<u32> {
        let Error::DatabaseError(..) = error else {
            return None;
        };
        timeout(PATIENCE, self.last_code()).await.ok()?.ok()?
    }

    async fn last_code(&mut self) -> QueryResult<Option<u32>> {
        self.inner.batch_execute(GET_CODES).await?;
        let codes: Code = diesel::sql_query(ASK_CODE)
            .get_result(&mut self.inner)
            .await?;
        Ok(codes.code.and_then(|code| u32::try_from(code).ok()))
    }
}

impl Deref for Connection {
    type Target = AsyncMysqlConnection;

    fn deref(&self) -> &AsyncMysqlConnection {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut AsyncMysqlConnection {
        &mut self.inner
    }
}

impl PoolableConnection for Connection {}
