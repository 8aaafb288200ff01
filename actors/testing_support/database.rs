//! A database of one test: a SQLite file in a directory that goes with it.

use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::hooked::{Hook, HookedStore};
use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::db::{Db, DbActor};
use crate::drop_notice::GoneNotice;
use crate::store::{Store, adapter};

/// See the module's header.
pub(crate) struct TestDb {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) db: Db,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

impl TestDb {
    /// With a DbActor on this thread, without heartbeats.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = adapter(&DatabaseSettings {
            url: DatabaseUrl::Sqlite(Self::file(&dir)),
            ..DatabaseSettings::default()
        });
        store.migrate().unwrap();
        let db = Db::new(store.as_ref());
        let actor = DbActor::new(Arc::clone(&store), db.outage(), None, GoneNotice::none()).start();
        db.set_actor(Some(actor));
        Self { dir, store, db }
    }

    /// From now on a DbActor writes that calls these before and after each transaction.
    pub(crate) fn hook(&self, before: Hook, after: Hook) {
        let store: Arc<dyn Store> = Arc::new(HookedStore {
            store: Arc::clone(&self.store),
            before,
            after,
        });
        let actor = DbActor::new(store, self.db.outage(), None, GoneNotice::none()).start();
        self.db.set_actor(Some(actor));
    }

    fn file(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("test.db")
    }

    /// A connection as another program would open it.
    pub(crate) fn foreign(&self) -> SqliteConnection {
        let path = Self::file(&self.dir);
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        connection
            .batch_execute("PRAGMA busy_timeout = 20000")
            .unwrap();
        connection
    }

    /// A program in the same directory, of these lines of a shell.
    pub(crate) fn script(&self, lines: &str) -> String {
        let path = self.dir.path().join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        path.display().to_string()
    }

    /// Runs statements of another program.
    pub(crate) fn sql(&self, statements: &str) {
        self.foreign().batch_execute(statements).unwrap();
    }

    /// The number that a question `SELECT … AS n` answers.
    pub(crate) fn number(&self, question: &str) -> i64 {
        let number: Number = diesel::sql_query(question)
            .get_result(&mut self.foreign())
            .unwrap();
        number.n
    }

    /// The texts that a question `SELECT … AS line` answers.
    pub(crate) fn lines(&self, question: &str) -> Vec<String> {
        let lines: Vec<Line> = diesel::sql_query(question)
            .load(&mut self.foreign())
            .unwrap();
        lines.into_iter().map(|line| line.line).collect()
    }
}
