//! A connection of SQLite as the statements of all databases take it.
//!
//! Those statements are async, as a server is awaited. A statement of SQLite runs where it is called, on the blocking
//! thread that has the connection: it returns a future that is ready, so nothing is copied, boxed or sent for it.

use std::future::{Ready, ready};

use diesel::connection::SimpleConnection;
use diesel::dsl::Limit;
use diesel::query_dsl::LoadQuery;
use diesel::query_dsl::methods::{ExecuteDsl, LimitDsl};
use diesel::{QueryResult, SqliteConnection};
use diesel_async::SimpleAsyncConnection;
use futures_util::FutureExt;

use super::limits::Limits;
use crate::store::parts::Unclaimable;

/// See the module's header.
pub(in crate::store) struct Connection {
    pub(super) inner: SqliteConnection,
    pub(super) limits: Limits,
    pub(super) unclaimable: Unclaimable,
}

impl Connection {
    pub(super) fn new(inner: SqliteConnection) -> Self {
        Self {
            inner,
            limits: Limits::default(),
            unclaimable: Unclaimable::default(),
        }
    }
}

/// Runs statements to their end, on this thread. They await nothing but statements of this connection, each of which has
/// ended when it returns: so their future is ready when it is first polled.
pub(super) fn run<T>(statements: impl Future<Output = T>) -> T {
    match statements.now_or_never() {
        Some(outcome) => outcome,
        None => unreachable!("a statement of SQLite ends before it returns"),
    }
}

impl SimpleConnection for Connection {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.inner.batch_execute(query)
    }
}

impl SimpleAsyncConnection for Connection {
    fn batch_execute(&mut self, query: &str) -> impl Future<Output = QueryResult<()>> + Send {
        ready(SimpleConnection::batch_execute(self, query))
    }
}

/// diesel's trait of this name, with the signatures of diesel-async's.
pub(in crate::store) trait RunQueryDsl:
    diesel::RunQueryDsl<SqliteConnection>
{
    fn execute(self, connection: &mut Connection) -> Ready<QueryResult<usize>>
    where
        Self: ExecuteDsl<SqliteConnection>,
    {
        ready(diesel::RunQueryDsl::execute(self, &mut connection.inner))
    }

    fn load<'query, U>(self, connection: &mut Connection) -> Ready<QueryResult<Vec<U>>>
    where
        Self: LoadQuery<'query, SqliteConnection, U>,
    {
        ready(diesel::RunQueryDsl::load(self, &mut connection.inner))
    }

    fn get_result<'query, U>(self, connection: &mut Connection) -> Ready<QueryResult<U>>
    where
        Self: LoadQuery<'query, SqliteConnection, U>,
    {
        ready(diesel::RunQueryDsl::get_result(self, &mut connection.inner))
    }

    fn first<'query, U>(self, connection: &mut Connection) -> Ready<QueryResult<U>>
    where
        Self: LimitDsl,
        Limit<Self>: LoadQuery<'query, SqliteConnection, U>,
    {
        ready(diesel::RunQueryDsl::first(self, &mut connection.inner))
    }
}

impl<Query: diesel::RunQueryDsl<SqliteConnection>> RunQueryDsl for Query {}
