//! The daemon's tables as any other program would open them, whichever database has them.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::prelude::*;
use diesel::row::{Field, NamedRow};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use mysql_async::prelude::Queryable;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A statement that hangs this long fails the test instead of holding it up.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(120);

/// The columns of a row as text, in their order.
pub type Row = Vec<Option<String>>;

/// A connection, with as little between a test and its SQL as possible.
pub struct Database {
    link: Link,
    runtime: Runtime,
}

enum Link {
    Sqlite(SqliteConnection),
    MySql(mysql_async::Conn),
    Postgres(tokio_postgres::Client),
}

impl Database {
    /// `sqlite://PATH`, `mysql://…` or `postgres://…`.
    ///
    /// # Errors
    ///
    /// Where nobody answers there.
    pub fn open(url: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let link = match url.split_once("://") {
            Some(("sqlite", path)) => open_sqlite(path).map(Link::Sqlite),
            Some(("mysql", _)) => runtime.block_on(open_mysql(url)).map(Link::MySql),
            Some(("postgres", _)) => runtime.block_on(open_postgres(url)).map(Link::Postgres),
            _ => panic!("{url}"),
        };
        Ok(Self {
            link: link?,
            runtime,
        })
    }

    /// The rows of a question.
    ///
    /// # Errors
    ///
    /// The database's error.
    pub fn try_rows(&mut self, sql: &str) -> Result<Vec<Row>, String> {
        match &mut self.link {
            Link::Sqlite(link) => {
                let rows = diesel::sql_query(sql).load::<AnyRow>(link);
                Ok(rows.map_err(text)?.into_iter().map(|row| row.0).collect())
            }
            Link::MySql(link) => self.runtime.block_on(in_time(mysql_rows(link, sql))),
            Link::Postgres(link) => self.runtime.block_on(in_time(postgres_rows(link, sql))),
        }
    }

    /// Statements.
    ///
    /// # Errors
    ///
    /// The database's error.
    pub fn try_execute(&mut self, sql: &str) -> Result<(), String> {
        match &mut self.link {
            Link::Sqlite(link) => link.batch_execute(sql).map_err(text),
            _ => self.try_rows(sql).map(drop),
        }
    }

    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|e| panic!("{e}: {sql}"))
    }

    /// The only column of the only row.
    #[track_caller]
    pub fn number(&mut self, sql: &str) -> i64 {
        let numbers = self.numbers(sql);
        assert_eq!(numbers.len(), 1, "{sql}");
        numbers[0]
    }

    /// The only column of all rows.
    #[track_caller]
    pub fn numbers(&mut self, sql: &str) -> Vec<i64> {
        let texts = self.texts(sql);
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The only column of all rows.
    #[track_caller]
    pub fn texts(&mut self, sql: &str) -> Vec<String> {
        let only = |mut row: Row| row.pop().flatten().unwrap();
        self.rows(sql).into_iter().map(only).collect()
    }

    #[track_caller]
    pub fn execute(&mut self, sql: &str) {
        self.try_execute(sql)
            .unwrap_or_else(|e| panic!("{e}: {}", shortened(sql)));
    }

    /// SQLite: whether somebody keeps everybody else from reading.
    pub fn is_away(&mut self) -> bool {
        let Link::Sqlite(link) = &mut self.link else {
            return false;
        };
        link.batch_execute("PRAGMA busy_timeout = 0").unwrap();
        let away = link.batch_execute("SELECT count(*) FROM boot").is_err();
        link.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        away
    }

    /// SQLite: whether nobody is in the middle of a write. Servers have no such thing: writers do not wait for each other
    /// there.
    pub fn is_unlocked(&mut self) -> bool {
        let Link::Sqlite(link) = &mut self.link else {
            return true;
        };
        link.batch_execute("PRAGMA busy_timeout = 0").unwrap();
        let free = link.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok();
        link.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        free
    }
}

fn shortened(sql: &str) -> String {
    sql.chars().take(300).collect()
}

fn text(error: impl std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

async fn in_time<T>(statement: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let done = tokio::time::timeout(STATEMENT_PATIENCE, statement).await;
    done.unwrap_or_else(|_| panic!("a statement hung for {STATEMENT_PATIENCE:?}"))
}

fn open_sqlite(path: &str) -> Result<SqliteConnection, String> {
    let mut link = SqliteConnection::establish(path).map_err(text)?;
    link.batch_execute("PRAGMA busy_timeout = 20000")
        .map_err(text)?;
    Ok(link)
}

async fn open_mysql(url: &str) -> Result<mysql_async::Conn, String> {
    let options = mysql_async::Opts::from_url(url).unwrap();
    in_time(async { mysql_async::Conn::new(options).await.map_err(text) }).await
}

async fn mysql_rows(link: &mut mysql_async::Conn, sql: &str) -> Result<Vec<Row>, String> {
    let rows: Vec<mysql_async::Row> = link.query(sql).await.map_err(text)?;
    let column = |value| match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => panic!("the text protocol knows only text: {other:?}"),
    };
    let row = |row: mysql_async::Row| row.unwrap().into_iter().map(column).collect();
    Ok(rows.into_iter().map(row).collect())
}

async fn open_postgres(url: &str) -> Result<tokio_postgres::Client, String> {
    let opened = in_time(async { tokio_postgres::connect(url, NoTls).await.map_err(text) });
    let (client, connection) = opened.await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn postgres_rows(link: &tokio_postgres::Client, sql: &str) -> Result<Vec<Row>, String> {
    let messages = link.simple_query(sql).await.map_err(text)?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            let column = |n| row.get(n).map(str::to_owned);
            Some((0..row.len()).map(column).collect())
        }
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// A row of SQLite, whatever its columns.
struct AnyRow(Row);

impl QueryableByName<Sqlite> for AnyRow {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        let column = |n| {
            let value = diesel::row::Row::get(row, n).and_then(|field| {
                let value = field.value()?;
                Some(<String as FromSql<Text, Sqlite>>::from_sql(value))
            });
            value.transpose()
        };
        let columns: Result<Row, _> = (0..row.field_count()).map(column).collect();
        Ok(Self(columns?))
    }
}
