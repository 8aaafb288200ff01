//! Tasks that are pushed in a transaction of the user's own: the rows for their insert.
//!
//! The one write that does not pass DbActor: only so can a task come into being together with what it belongs to, or
//! not at all.

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Nullable, Timestamp};
use diesel::sqlite::Sqlite;

use super::push::{self, PushError, PushItem};
use super::pusher::Pushable;
use crate::clock::now_ms;
use crate::store::WAITING;
use crate::store::rows::NewTask;
use crate::trace::Trace;

diesel::table! {
    /// The columns of `delay_queue_log` that a new row sets; the others have defaults.
    delay_queue_log (id) {
        /// The task's id.
        id -> BigInt,
        /// Shown to people.
        name -> Text,
        /// The registered handler.
        exec_cmd -> Text,
        /// Handed to the handler as it is.
        params -> Text,
        /// 1 waiting, 2 running, 3 done, 4 failed.
        status -> SmallInt,
        /// What a run answered, or why it failed; nothing before one.
        result -> Text,
        /// Unix seconds: when it is due.
        exec_time -> BigInt,
        /// Unix milliseconds: when it is due, within that second.
        due_ms -> Nullable<BigInt>,
        /// The server's local time.
        create_time -> Nullable<Timestamp>,
        /// The server's local time.
        update_time -> Nullable<Timestamp>,
        /// The W3C trace of its pusher.
        trace -> Nullable<Text>,
    }
}

/// A row of `delay_queue_log` that is to be inserted: a task that was checked as [`Push`](crate::Push) checks it.
///
/// Made by [`Context::rows_to_push`](crate::Context::rows_to_push), and inserted by diesel, one or a list of them, into
/// [`delay_queue_log::table`](crate::delay_queue_log::table). Once its transaction is committed the daemon sees it within
/// a quarter of a second.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = delay_queue_log)]
pub struct PushRow {
    name: String,
    exec_cmd: String,
    params: String,
    status: i16,
    result: &'static str,
    exec_time: i64,
    due_ms: i64,
    create_time: ServerTime,
    update_time: ServerTime,
    trace: Option<String>,
}

impl PushRow {
    pub(super) fn new(task: NewTask) -> Self {
        Self {
            name: task.name,
            exec_cmd: task.exec_cmd,
            params: task.params,
            status: WAITING,
            result: "",
            exec_time: task.due_ms.div_euclid(1000),
            due_ms: task.due_ms,
            create_time: ServerTime,
            update_time: ServerTime,
            trace: task.trace.as_ref().map(Trace::column),
        }
    }

    /// Shown to people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The registered handler.
    pub fn exec_cmd(&self) -> &str {
        &self.exec_cmd
    }

    /// Handed to the handler as it is.
    pub fn params(&self) -> &str {
        &self.params
    }

    /// The column `status`: 1, it waits.
    pub fn status(&self) -> i16 {
        self.status
    }

    /// The column `exec_time`, unix seconds.
    pub fn exec_time(&self) -> i64 {
        self.exec_time
    }

    /// The column `due_ms`, unix milliseconds.
    pub fn due_ms(&self) -> i64 {
        self.due_ms
    }
}

/// The rows of tasks for an insert in a transaction of the user's own.
pub(crate) fn rows_to_push(
    items: &[PushItem],
    pushable: &Pushable,
) -> Result<Vec<PushRow>, PushError> {
    let rows = push::rows(items, pushable, now_ms())?;
    // The row of a key belongs to its task's transaction, which is the caller's own here.
    if let Some(index) = items.iter().position(|item| item.idempotency_key.is_some()) {
        return Err(PushError::Item {
            index,
            name: items[index].name.clone(),
            reason: "a row for a transaction of your own has no idempotency key; `push` takes one, and in your transaction a unique \
                     key of your own does"
                .to_owned(),
        });
    }
    Ok(rows.into_iter().map(PushRow::new).collect())
}

/// The database's local time, as the Go program writes it into `create_time`, whatever the session's time zone is.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, QueryId)]
pub struct ServerTime;

impl Expression for ServerTime {
    type SqlType = Nullable<Timestamp>;
}

impl<Source> AppearsOnTable<Source> for ServerTime {}

impl<Source> SelectableExpression<Source> for ServerTime {}

impl<GroupBy> ValidGrouping<GroupBy> for ServerTime {
    type IsAggregate = is_aggregate::Never;
}

/// What is the database's local time there.
#[doc(hidden)]
pub trait LocalTime: Backend {
    /// An expression.
    const NOW: &'static str;
}

impl LocalTime for Sqlite {
    const NOW: &'static str = "strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime')";
}

/// A TIMESTAMP column knows the session's zone.
impl LocalTime for Mysql {
    const NOW: &'static str = "NOW()";
}

/// A TIMESTAMP column there knows no zone, and diesel-async's sessions are in UTC: the zone is the one that the session
/// had before anybody set one.
impl LocalTime for Pg {
    const NOW: &'static str =
        "(NOW() AT TIME ZONE (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'))";
}

impl<DB: LocalTime> QueryFragment<DB> for ServerTime {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(DB::NOW);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};

    use super::*;
    use crate::config::DatabaseUrl;
    use crate::db::{Db, DbActor};
    use crate::drop_notice::GoneNotice;
    use crate::servers;
    use crate::store::rows::ClaimedTask;
    use crate::store::write::{ClaimTasks, Most};
    use crate::store::{Store, adapter};
    use crate::testing_support::TestDb;

    fn rows() -> Vec<PushRow> {
        let pushable = Pushable::Registered(["mail".to_owned()].into());
        let item = |params: &str| PushItem {
            name: "n".to_owned(),
            exec_cmd: "mail".to_owned(),
            params: params.to_owned(),
            ..PushItem::default()
        };
        let items = [item("'; -- \\ 测试 😀"), item("b")];
        let tasks = push::rows(&items, &pushable, now_ms()).unwrap();
        tasks.into_iter().map(PushRow::new).collect()
    }

    async fn claimed(db: &Db) -> Vec<ClaimedTask> {
        let until_s = now_ms().div_euclid(1000) + 2;
        let claim = ClaimTasks {
            owner: "script1/a".to_owned(),
            from_s: None,
            until_s,
            most: Most {
                count: 9,
                bytes: u32::MAX,
            },
        };
        db.write(claim).await.unwrap().tasks
    }

    fn assert_same(claimed: &[ClaimedTask], rows: &[PushRow]) {
        assert_eq!(claimed.len(), rows.len());
        for (task, row) in claimed.iter().zip(rows) {
            assert_eq!((&task.name, &task.exec_cmd), (&row.name, &row.exec_cmd));
            assert_eq!((&task.params, task.due_ms), (&row.params, row.due_ms));
            assert_eq!((task.attempts, task.suspect), (0, false));
        }
    }

    #[actix::test]
    async fn on_sqlite_rows_are_there_with_their_transaction_or_not_at_all() {
        let db = TestDb::start();
        let mut own = db.foreign();
        let rows = rows();
        let rolled_back: QueryResult<()> = own.transaction(|own| {
            diesel::insert_into(delay_queue_log::table)
                .values(&rows)
                .execute(own)?;
            Err(diesel::result::Error::RollbackTransaction)
        });
        assert!(rolled_back.is_err());
        assert!(claimed(&db.db).await.is_empty());
        let committed: QueryResult<usize> = own.immediate_transaction(|own| {
            let first = diesel::insert_into(delay_queue_log::table)
                .values(&rows[0])
                .execute(own)?;
            let second = diesel::insert_into(delay_queue_log::table)
                .values(&rows[1..])
                .execute(own)?;
            Ok(first + second)
        });
        assert_eq!(committed.unwrap(), 2);
        let now = crate::clock::local_text();
        let times = "SELECT create_time AS line FROM delay_queue_log UNION SELECT update_time FROM delay_queue_log";
        for time in db.lines(times) {
            assert_eq!((&time[..13], time.len()), (&now[..13], now.len()), "{time}");
        }
        assert_same(&claimed(&db.db).await, &rows);
    }

    fn served(url: &str) -> (std::sync::Arc<dyn Store>, Db) {
        let url: DatabaseUrl = url.parse().unwrap();
        let store = adapter(&crate::config::DatabaseSettings {
            url,
            ..Default::default()
        });
        store.migrate().unwrap();
        let db = Db::new(store.as_ref());
        let actor = DbActor::new(
            std::sync::Arc::clone(&store),
            db.outage(),
            None,
            GoneNotice::none(),
        );
        db.set_actor(Some(actix::Actor::start(actor)));
        (store, db)
    }

    /// A macro, as the connections share no trait that one function could name.
    macro_rules! on_server {
        ($url:expr, $connection:ty, $before:literal, $near:literal) => {{
            use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

            let url: String = $url;
            let (_store, db) = served(&url);
            let mut first = <$connection>::establish(&url).await.unwrap();
            SimpleAsyncConnection::batch_execute(&mut first, $before)
                .await
                .unwrap();
            let mut own = <$connection>::establish(&url).await.unwrap();
            let rows = rows();
            let rolled_back: QueryResult<()> = own
                .transaction(async |own| {
                    let insert = diesel::insert_into(delay_queue_log::table).values(&rows);
                    RunQueryDsl::execute(insert, own).await?;
                    Err(diesel::result::Error::RollbackTransaction)
                })
                .await;
            assert!(rolled_back.is_err());
            assert!(claimed(&db).await.is_empty());
            let committed: QueryResult<usize> = own
                .transaction(async |own| {
                    let insert = diesel::insert_into(delay_queue_log::table).values(&rows);
                    RunQueryDsl::execute(insert, own).await
                })
                .await;
            assert_eq!(committed.unwrap(), 2);
            let near = diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>($near));
            let near: i64 = RunQueryDsl::get_result(near, &mut own).await.unwrap();
            assert_eq!(
                near, 2,
                "the server's local time, as the daemon itself writes it"
            );
            assert_same(&claimed(&db).await, &rows);
        }};
    }

    #[actix::test]
    async fn on_mysql_rows_are_there_with_their_transaction_or_not_at_all() {
        let mariadb = servers::mariadb::shared().map(servers::mariadb::MariaDb::database);
        let mysql = servers::mysql::shared().map(servers::mysql::MySql::database);
        for url in mariadb.into_iter().chain(mysql) {
            on_server!(
                url,
                AsyncMysqlConnection,
                "SELECT 1",
                "(SELECT COUNT(*) FROM delay_queue_log WHERE ABS(TIMESTAMPDIFF(SECOND, create_time, NOW())) < 60)"
            );
        }
    }

    #[actix::test]
    async fn on_postgres_rows_are_there_with_their_transaction_or_not_at_all() {
        let Some(server) = servers::postgres::shared() else {
            return;
        };
        on_server!(
            server.database(),
            AsyncPgConnection,
            // For sessions that begin from now on, of which diesel-async's set UTC for themselves.
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone TO %L', current_database(), 'Asia/Shanghai'); END $$",
            "(SELECT COUNT(*) FROM delay_queue_log
              WHERE ABS(EXTRACT(EPOCH FROM create_time - (NOW() AT TIME ZONE 'Asia/Shanghai'))) < 60)"
        );
    }
}
