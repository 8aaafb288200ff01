//! The databases a daemon can have, and a place for one world's tables on each.

use std::sync::Mutex;

use crate::database::Database;
use crate::servers::mariadb::{self, MariaDb};
use crate::servers::mysql::{self, MySql};
use crate::servers::postgres::{self, Postgres};
use crate::world::World;

/// In a world's own directory.
const SQLITE: &str = "sqlite://data/simplest_script.db";

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    MariaDb,
    MySql,
    Postgres,
}

impl Engine {
    /// The URL of a fresh database on the server of all tests. `None`: it is not installed.
    pub fn database(self) -> Option<String> {
        match self {
            Self::Sqlite => Some(SQLITE.to_owned()),
            Self::MariaDb => Some(mariadb::shared()?.database()),
            Self::MySql => Some(mysql::shared()?.database()),
            Self::Postgres => Some(postgres::shared()?.database()),
        }
    }

    /// A query with the column `n`: the numbers from 1 to `last`.
    pub fn numbers(self, last: usize) -> String {
        match self {
            Self::Sqlite => format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s"
            ),
            Self::MariaDb => format!("SELECT seq AS n FROM seq_1_to_{last}"),
            // It has no numbers of its own, and recursion ends at a thousand.
            Self::MySql => {
                let digits = "SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9";
                let places = last.to_string().len();
                let tables: Vec<String> = (0..places)
                    .map(|place| format!("({digits}) AS d{place}"))
                    .collect();
                let sum: Vec<String> = (0..places)
                    .map(|place| {
                        format!("d{place}.d * {}", 10_u64.pow(u32::try_from(place).unwrap()))
                    })
                    .collect();
                let sum = sum.join(" + ");
                format!(
                    "SELECT n FROM (SELECT {sum} AS n FROM {}) AS s WHERE n BETWEEN 1 AND {last}",
                    tables.join(", ")
                )
            }
            Self::Postgres => format!("SELECT n FROM generate_series(1, {last}) AS s(n)"),
        }
    }
}

/// A server that is one test's own, to be hung and crashed.
pub enum OwnServer {
    /// No server, but a file that others can hold.
    Sqlite(Mutex<Option<Database>>),
    MariaDb(MariaDb),
    MySql(MySql),
    Postgres(Postgres),
}

impl OwnServer {
    /// `None`: it is not installed.
    pub fn of(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => Some(Self::Sqlite(Mutex::new(None))),
            Engine::MariaDb => MariaDb::dedicated().map(Self::MariaDb),
            Engine::MySql => MySql::dedicated().map(Self::MySql),
            Engine::Postgres => Postgres::dedicated().map(Self::Postgres),
        }
    }

    /// The URL of a fresh database on it.
    pub fn database(&self) -> String {
        match self {
            Self::Sqlite(_) => SQLITE.to_owned(),
            Self::MariaDb(server) => server.database(),
            Self::MySql(server) => server.database(),
            Self::Postgres(server) => server.database(),
        }
    }

    /// It answers nobody any more. Of SQLite it is the nearest to that: another program is in the middle of a write.
    pub fn hang(&self, world: &World) {
        match self {
            Self::Sqlite(holder) => {
                let mut database = world.database();
                database.execute("BEGIN IMMEDIATE");
                *holder.lock().unwrap() = Some(database);
            }
            Self::MariaDb(server) => server.pause(),
            Self::MySql(server) => server.pause(),
            Self::Postgres(server) => server.pause(),
        }
    }

    pub fn go_on(&self) {
        match self {
            Self::Sqlite(holder) => *holder.lock().unwrap() = None,
            Self::MariaDb(server) => server.resume(),
            Self::MySql(server) => server.resume(),
            Self::Postgres(server) => server.resume(),
        }
    }

    /// SIGKILL.
    pub fn crash(&self) {
        match self {
            Self::Sqlite(_) => panic!("SQLite has no server"),
            Self::MariaDb(server) => server.kill(),
            Self::MySql(server) => server.kill(),
            Self::Postgres(server) => server.kill(),
        }
    }

    /// Again, after a crash.
    pub fn start(&self) {
        match self {
            Self::Sqlite(_) => panic!("SQLite has no server"),
            Self::MariaDb(server) => server.start(),
            Self::MySql(server) => server.start(),
            Self::Postgres(server) => server.start(),
        }
    }
}

/// Makes a test of each of these facts on each database: `on_each_database!(world => fact, …)` with functions that take
/// a world, made by the function before the arrow. A failure names the database by the test's name; where its server is
/// not installed the test prints that and passes.
macro_rules! on_each_database {
    ($world:ident => $($fact:ident),+ $(,)?) => {$(
        mod $fact {
            $crate::engine::on!(on_sqlite, Sqlite, $world, $fact);
            $crate::engine::on!(on_mariadb, MariaDb, $world, $fact);
            $crate::engine::on!(on_mysql, MySql, $world, $fact);
            $crate::engine::on!(on_postgres, Postgres, $world, $fact);
        }
    )+};
}

/// The same, for what SQLite does not have.
macro_rules! on_each_server {
    ($world:ident => $($fact:ident),+ $(,)?) => {$(
        mod $fact {
            $crate::engine::on!(on_mariadb, MariaDb, $world, $fact);
            $crate::engine::on!(on_mysql, MySql, $world, $fact);
            $crate::engine::on!(on_postgres, Postgres, $world, $fact);
        }
    )+};
}

macro_rules! on {
    ($name:ident, $engine:ident, $world:ident, $fact:ident $(, $meta:meta)?) => {
        #[test]
        $(#[$meta])?
        fn $name() {
            if let Some(world) = super::$world($crate::engine::Engine::$engine) {
                super::$fact(world);
            }
        }
    };
}
pub(crate) use {on, on_each_database, on_each_server};
