//! A world for tests of CronActor: a real database, and real processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::{Instant, sleep};

use super::entry::tests::entry;
use super::{AwaitEnd, Backlog, CronActor, CronConfig, LiveEntry, StartingFires, Uk, WatchedRuns};
use crate::clock::now_ms;
use crate::config::Misfire;
use crate::logs::OutputLogs;
use crate::membership::Liveness;
use crate::stop::StopSignal;
use crate::testing_support::{Deaths, TestDb, by_others, soon};

pub(super) const YEARLY: &str = "0 0 0 1 1 *";

pub(super) struct World {
    pub(super) files: TestDb,
    pub(super) deaths: Deaths,
    pub(super) config: CronConfig,
    /// The daemon's.
    pub(super) stop: StopSignal,
    pub(super) actor: Addr<CronActor>,
}

impl World {
    /// One entry that has missed a fire, which it makes up for.
    pub(super) async fn start(program: &str) -> Self {
        tokio::time::pause();
        Self::start_with(TestDb::start(), program).await
    }

    pub(super) async fn start_with(files: TestDb, program: &str) -> Self {
        Self::start_entry(files, entry(YEARLY, Misfire::Coalesce), program)
    }

    /// The entry has missed a fire.
    pub(super) fn start_entry(files: TestDb, entry: LiveEntry, program: &str) -> Self {
        let two_years_ago = now_ms() - 2 * 366 * 24 * 3600 * 1000;
        files.sql(&format!(
            "INSERT INTO cron_entry (partition_name, entry, name, expression, live, last_fire_ms)
             VALUES ('script1', '{}', 'n', '{YEARLY}', 1, {two_years_ago})",
            entry.key
        ));
        Self::with(files, vec![Arc::new(entry)], program)
    }

    pub(super) fn with(files: TestDb, entries: Vec<Arc<LiveEntry>>, program: &str) -> Self {
        let config = CronConfig {
            db: files.db.clone(),
            liveness: Arc::new(Liveness::new(Duration::from_secs(5))),
            partition: "script1".to_owned(),
            owner: "script1/me".to_owned(),
            entries,
            misfire_grace: Duration::from_secs(10),
            program: PathBuf::from(program),
            program_is_ours: false,
            environment: Vec::new(),
            runs: files.dir.path().join("runs"),
            output: OutputLogs::below(files.dir.path().join("output")),
            starting: StartingFires::default(),
            backlog: Backlog::default(),
            watched: WatchedRuns::default(),
            pinger: crate::alert::Pinger::idle(),
            pauses: crate::orders::Pauses::default(),
            orders: crate::orders::Orders::default(),
        };
        let (deaths, stop) = (Deaths::new(), StopSignal::new());
        let actor = CronActor::new(config.clone(), stop.listen(), deaths.notice()).start();
        Self {
            files,
            deaths,
            config,
            stop,
            actor,
        }
    }

    pub(super) fn runs_file(&self, uk: &Uk) -> PathBuf {
        self.config.runs.join(format!("{uk}.json"))
    }

    pub(super) fn runs(&self) -> Vec<String> {
        self.files
            .lines("SELECT status || ' ' || result AS line FROM crontab_log ORDER BY id")
    }

    /// Waits until this many runs have ended.
    pub(super) async fn until_ended(&self, n: usize) -> Vec<String> {
        soon(async {
            loop {
                let runs = self.runs();
                if runs
                    .iter()
                    .filter(|run| !run.starts_with("running"))
                    .count()
                    >= n
                {
                    return runs;
                }
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    /// Waits until a run has begun, as long as timers of ours take, and then until the processes of all runs have ended, for
    /// which a paused clock stands still.
    pub(super) async fn until_all_ended(&self) -> Vec<String> {
        soon(async {
            while self.runs().is_empty() {
                sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        by_others(async {
            loop {
                let runs = self.runs();
                if !runs.iter().any(|run| run.starts_with("running")) {
                    return runs;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    pub(super) async fn stop(&self) -> bool {
        self.stop.stop(Instant::now() + Duration::from_secs(20));
        self.actor.send(AwaitEnd).await.unwrap()
    }
}
