//! What every database must do, written once against `Store`. A database is added by one line in `on_each`.
//!
//! Raw SQL stands only where another program is played, or a row is read: it must be understood by all of them.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use self::builders::*;
use self::connection::Connection;
use self::worlds::World;
use super::cron_run::FIRES_MS;
use super::rows::{
    AtOverlap, Claim, ClaimedMessage, ClaimedTask, Crash, DeadLetterFilter, EntryName, Fire,
    KnownEntry, NewDeadLetter, NewMessage, NewTask, Reaped, RunEnd, TaskEnd,
};
use super::write::{
    ClaimFire, ClaimMessages, ClaimTasks, EndBoot, EndRun, EndTasks, InsertDeadLetters,
    InsertMessages, InsertTasks, Most, Operation, ReapSilent, ReleaseTasks, RunStarted,
    SyncEntries, TrimRuns, TrimTasks, Write,
};
use crate::clock::now_ms;
use crate::job::Disposition;

const ME: &str = "script1/me";
const OTHER: &str = "script2/other";

type Fact = fn(Rc<World>) -> LocalBoxFuture<'static, ()>;

/// Checks a fact on every database.
fn on_each(fact: Fact) {
    for world in worlds::all() {
        let world = Rc::new(world);
        let name = world.name;
        let _names = NamesDatabase(name);
        actix_rt::System::new().block_on(async move {
            world.store.migrate().unwrap();
            fact(world).await;
        });
    }
}

/// Names the database where the fact fails.
struct NamesDatabase(&'static str);

impl Drop for NamesDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was on {}", self.0);
        }
    }
}

macro_rules! facts {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            on_each(|$world| Box::pin(async move { $body }));
        }
    )*};
}

// After the macro, which they use.
mod boots;
mod browse;
mod budget;
mod builders;
mod claims;
mod clock;
mod connection;
mod contents;
mod crashes;
mod daemon_orders;
mod dead_letters;
mod entries;
mod fires;
mod former_names;
mod go_program;
mod heartbeats;
mod idempotency;
mod migrations;
mod orders;
mod permits;
mod questions;
mod refusals;
mod runs;
mod task_orders;
mod traces;
mod warnings;
mod worlds;

impl World {
    async fn writer(&self) -> Connection {
        Connection(self.store.writer().await.unwrap())
    }

    fn lines(&self, question: &str) -> Vec<String> {
        (self.lines)(question)
    }

    fn line(&self, question: &str) -> String {
        let mut lines = self.lines(question);
        assert_eq!(lines.len(), 1, "{question}");
        lines.remove(0)
    }

    fn status(&self, id: i64) -> String {
        self.line(&format!(
            "SELECT status AS line FROM delay_queue_log WHERE id = {id}"
        ))
    }

    async fn lag(&self, queue: &str) -> u64 {
        let asked = vec![(queue.to_owned(), 1000)];
        self.store.reader().queue_lags(asked).await.unwrap()[0]
    }

    /// The open runs that are to be ended.
    async fn replaced(&self) -> Vec<String> {
        let open = self.store.reader().open_runs("script1").await.unwrap();
        let marked = open.into_iter().filter(|run| run.replaced);
        let mut uks: Vec<String> = marked.map(|run| run.uk).collect();
        uks.sort();
        uks
    }

    /// Sets its last heartbeat back.
    fn silence(&self, owner: &str, ms: i64) {
        let at = now_ms() - ms;
        (self.execute)(&format!(
            "UPDATE boot SET heartbeat_ms = {at} WHERE owner = '{owner}'"
        ));
    }
}
