//! The databases that the suite runs on, and how another program would use each.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use tempfile::TempDir;

use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::servers;
use crate::store::{Store, adapter};

/// A database of one test.
pub(super) struct World {
    pub(super) name: &'static str,
    pub(super) store: Arc<dyn Store>,
    /// Statements of another program.
    pub(super) execute: Box<dyn Fn(&str)>,
    /// The texts of the column `line`.
    pub(super) lines: Lines,
    _dir: Option<TempDir>,
}

type Lines = Box<dyn Fn(&str) -> Vec<String>>;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// One of each kind. A server that is not installed is left out, which is printed.
pub(super) fn all() -> Vec<World> {
    let servers = [
        servers::mariadb::shared().map(|server| mysql("MariaDB", server.database())),
        servers::mysql::shared().map(|server| mysql("MySQL", server.database())),
        servers::postgres::shared().map(|server| postgres("PostgreSQL", server.database())),
    ];
    let mut worlds = vec![sqlite()];
    worlds.extend(servers.into_iter().flatten());
    worlds
}

fn sqlite() -> World {
    use diesel::RunQueryDsl;
    use diesel::connection::SimpleConnection;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data").join("test.db");
    let open = {
        let path = path.clone();
        move || {
            let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            connection
                .batch_execute("PRAGMA busy_timeout = 20000")
                .unwrap();
            connection
        }
    };
    let other = open.clone();
    World {
        name: "SQLite",
        store: opened(DatabaseUrl::Sqlite(path)),
        execute: Box::new(move |sql| open().batch_execute(sql).unwrap()),
        lines: Box::new(move |sql| {
            let sql = format!("SELECT CAST(line AS TEXT) AS line FROM ({sql}) AS q");
            let lines: Vec<Line> = RunQueryDsl::load(diesel::sql_query(sql), &mut other()).unwrap();
            lines.into_iter().map(|line| line.line).collect()
        }),
        _dir: Some(dir),
    }
}

/// A macro, as the connections share no trait that one function could name.
macro_rules! server {
    ($name:expr, $url:expr, $connection:ty, $settings:literal, $text:literal) => {{
        let url: String = $url;
        let (store, other) = (opened(url.parse().unwrap()), url.clone());
        World {
            name: $name,
            store,
            execute: Box::new(move |sql| {
                on_a_runtime(async {
                    let mut connection = <$connection>::establish(&url).await.unwrap();
                    connection.batch_execute($settings).await.unwrap();
                    connection.batch_execute(sql).await.unwrap();
                })
            }),
            lines: Box::new(move |sql| {
                // The limit keeps the order: some forget it in a subquery without one.
                let sql = format!(
                    "SELECT CAST(line AS {}) AS line FROM ({sql} LIMIT 1000000) AS q",
                    $text
                );
                on_a_runtime(async {
                    let mut connection = <$connection>::establish(&other).await.unwrap();
                    connection.batch_execute($settings).await.unwrap();
                    let lines: Vec<Line> =
                        diesel::sql_query(sql).load(&mut connection).await.unwrap();
                    lines.into_iter().map(|line| line.line).collect()
                })
            }),
            _dir: None,
        }
    }};
}

fn mysql(name: &'static str, url: String) -> World {
    // `||` means what it means elsewhere.
    server!(
        name,
        url,
        diesel_async::AsyncMysqlConnection,
        "SET SESSION sql_mode = 'PIPES_AS_CONCAT'",
        "CHAR"
    )
}

fn postgres(name: &'static str, url: String) -> World {
    server!(
        name,
        url,
        diesel_async::AsyncPgConnection,
        "SELECT 1",
        "TEXT"
    )
}

fn opened(url: DatabaseUrl) -> Arc<dyn Store> {
    adapter(&DatabaseSettings {
        url,
        ..DatabaseSettings::default()
    })
}

/// The caller is inside of a runtime, so it is another thread's.
fn on_a_runtime<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}
