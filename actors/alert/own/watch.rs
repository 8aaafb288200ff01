//! The polls themselves, which must outlive an AlertActor. Any holder may poll at any time; SupervisorActor polls at
//! the stop, whether an AlertActor lives then or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::timeout;

use super::memory::{Change, Memory};
use super::probe::Disks;
use super::sight::Sight;
use super::table::{Moment, Table};
use crate::alert::Notifier;
use crate::config::AlertRules;
use crate::db::Db;
use crate::state::{CronState, State};
use crate::store::rows::EndedRun;

/// Entries that the database is asked about at once.
const ENTRIES_AT_ONCE: usize = 50;
/// A question that takes longer is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the polls need.
pub(crate) struct Parts {
    pub(crate) rules: AlertRules,
    pub(crate) notifier: Notifier,
    pub(crate) state: Arc<State>,
    pub(crate) disks: Disks,
    pub(crate) db: Db,
    /// What the start of the daemon has reported already.
    pub(crate) memory: Memory,
}

/// See the module's header.
#[derive(Clone)]
pub(crate) struct OwnAlerts(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// What earlier daemons left is known.
    has_inherited: AtomicBool,
}

impl OwnAlerts {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            has_inherited: AtomicBool::new(false),
        }))
    }

    /// Polls, and reports what has changed. Neither waits nor fails.
    pub(super) fn poll(&self) {
        self.poll_and_report(Table::apply);
    }

    /// The last poll, and the last word.
    pub(crate) fn finish(&self) {
        self.poll_and_report(Table::finish);
        self.0.parts.memory.end();
    }

    fn poll_and_report(&self, change: Change) {
        let parts = &self.0.parts;
        let at = Moment::now();
        let disks = match parts.rules.disk {
            Some(_) => parts.disks.poll(at.now),
            None => Vec::new(),
        };
        let sight = Sight::of(&parts.state, disks, at.utc.timestamp_millis());
        parts
            .memory
            .report(&parts.rules, &sight, at, &parts.notifier, change);
    }

    /// Asks the database how runs ended: at first what earlier daemons left, then whether entries that are wrong went well
    /// since, in whichever daemon. Asked about those, and no others.
    pub(super) async fn ask_for_ends(&self) {
        let parts = &self.0.parts;
        self.ask_for_durations().await;
        if parts.rules.cron_runs.is_none() {
            return;
        }
        if !self.0.has_inherited.load(Relaxed) {
            let identity = &parts.state.identity;
            let owner = format!("{}/{}", identity.partition, identity.boot);
            let cron = parts.state.cron();
            let all = cron.iter().collect();
            let is_known = self
                .ask(all, |entry, runs| entry.inherit(runs, &owner))
                .await;
            self.0.has_inherited.store(is_known, Relaxed);
            // At once: a good run that comes next resolves what this poll repeats.
            self.poll();
            return;
        }
        let cron = parts.state.cron();
        let wrong = cron.iter();
        let wrong = wrong.filter(|entry| entry.sight().bad.is_some());
        self.ask(wrong.collect(), CronState::compare).await;
    }

    /// How long earlier runs took, once of each entry; one that came with a reload is asked about then.
    async fn ask_for_durations(&self) {
        let cron = self.0.parts.state.cron();
        let unknown = cron.iter().filter(|entry| !entry.knows_durations());
        let unknown: Vec<&Arc<CronState>> = unknown.collect();
        if !unknown.is_empty() {
            self.ask(unknown, CronState::load_durations).await;
        }
    }

    /// Whether the database answered.
    async fn ask(
        &self,
        entries: Vec<&Arc<CronState>>,
        then: impl Fn(&CronState, &[EndedRun]),
    ) -> bool {
        let parts = &self.0.parts;
        let partition = &parts.state.identity.partition;
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            let keys = some.iter().map(|entry| entry.key.clone()).collect();
            let asked = parts.db.reader().ended_runs(partition, keys);
            match timeout(PATIENCE, asked).await {
                Ok(Ok(all)) => {
                    for (key, runs) in all {
                        if let Some(entry) = some.iter().find(|entry| entry.key == key) {
                            then(entry, &runs);
                        }
                    }
                }
                // DbActor reports the outage.
                Ok(Err(cause)) => {
                    log::debug!("ends of cron runs cannot be read: {cause}");
                    return false;
                }
                Err(_) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, rules};
    use super::*;
    use crate::config::alert_rules_of;
    use crate::state::{CronFacts, DelayState, Identity};
    use crate::testing_support::TestDb;

    /// The alerts of a daemon with one cron entry, whose misfires alone are an alert: the lists of the process are those of
    /// all tests.
    fn own(db: &TestDb) -> (OwnAlerts, Arc<CronState>) {
        let entry = CronState::new(CronFacts {
            name: "report".to_owned(),
            key: "k".to_owned(),
            expression: "@daily".to_owned(),
            timezone: "UTC".to_owned(),
            exec_cmd: "c".to_owned(),
            replaces: false,
        });
        let identity = Identity {
            version: "0",
            environment: "dev".to_owned(),
            partition: "script1".to_owned(),
            host: "h".to_owned(),
            pid: 1,
            boot: "b".to_owned(),
            started_ms: 1,
        };
        let cron = vec![Arc::clone(&entry)];
        let rules =
            "{\"dead_letters\": false, \"outages\": false, \"restarts\": false, \"disk\": false}";
        let own = OwnAlerts::new(Parts {
            rules: alert_rules_of(rules),
            notifier: Notifier::silent(),
            state: Arc::new(State::new(identity, Vec::new(), cron, DelayState::new())),
            disks: Disks::default(),
            db: db.db.clone(),
            memory: Memory::default(),
        });
        (own, entry)
    }

    impl OwnAlerts {
        /// How many misfires were not reported.
        fn unreported(&self) -> u64 {
            let sight = Sight::of(&self.0.parts.state, Vec::new(), 0);
            let happened = rules::happened(Rule::Misfires, &sight);
            self.0.parts.memory.unreported(Rule::Misfires, &happened)
        }
    }

    #[actix_rt::test]
    async fn the_stop_reports_events_after_the_last_poll() {
        let db = TestDb::start();
        let (own, entry) = own(&db);
        entry.missed(3);
        assert_eq!(own.unreported(), 3);
        own.poll();
        assert_eq!(own.unreported(), 0);
        entry.missed(2);
        own.poll();
        assert_eq!(own.unreported(), 2, "it is repeated each hour");
        own.finish();
        assert_eq!(own.unreported(), 0);
        entry.missed(1);
        own.poll();
        own.finish();
        assert_eq!(own.unreported(), 1, "the last word was sent");
    }

    fn run(db: &TestDb, uk: &str, second: i64, status: &str) {
        db.sql(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
             VALUES ('script1', 'k', {second}, '{uk}', 'report', 'script1/other', 'm', 3, '{status}', 1, 2)",
        ));
    }

    #[actix_rt::test]
    async fn a_good_run_of_another_daemon_mends_an_entry() {
        let db = TestDb::start();
        let (own, entry) = own(&db);
        own.ask_for_ends().await;
        run(&db, "u", 5, "failed");
        entry.ended("u", "failed", "{}");
        own.poll();
        run(&db, "u1", 4, "success");
        own.ask_for_ends().await;
        assert!(entry.sight().bad.is_some(), "that was before");
        run(&db, "u2", 6, "success");
        own.ask_for_ends().await;
        assert_eq!(entry.sight().bad, None);
    }

    #[actix_rt::test]
    async fn what_an_earlier_daemon_left_is_inherited_once_and_mended() {
        let db = TestDb::start();
        run(&db, "u", 5, "failed");
        let (own, entry) = own(&db);
        own.ask_for_ends().await;
        assert!(entry.sight().bad.unwrap().are_inherited);
        own.poll();
        own.ask_for_ends().await;
        assert!(entry.sight().bad.is_some());
        entry.ended("u2", "success", "{}");
        own.ask_for_ends().await;
        assert_eq!(entry.sight().bad, None);
    }
}
