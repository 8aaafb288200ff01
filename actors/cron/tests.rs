//! CronActor with real processes and a real database, on a paused clock. The entries are due in January; what fires is
//! what `misfire` makes up for at the start, so that no test waits for a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use super::entry::tests::entry;
use super::process::machine::{Identity, Place, identify};
use super::process::{Announcement, announce};
use super::testing::{World, YEARLY};
use super::timer::Timer;
use super::{Crash, CronActor, CronConfig, Quiet, StartingFires, Stop, WatchedRuns};
use crate::clock::now_ms;
use crate::config::Misfire;
use crate::db::Db;
use crate::store::Write;
use crate::store::rows::PauseRow;
use crate::testing_support::{Barrier, Seen, TestDb, no_hook, soon};

mod clock_jumps;

#[actix::test]
async fn a_missed_fire_is_made_up_for_and_its_run_ends() {
    let world = World::start("/bin/false").await;
    let runs = world.until_ended(1).await;
    assert_eq!(runs.len(), 1);
    assert!(
        runs[0].starts_with("failed ")
            && runs[0].contains("exit status 1; its output is in `")
            && runs[0].contains("/output/n-"),
        "{runs:?}"
    );
    assert!(world.stop().await);
    assert!(world.stop().await, "twice");
}

#[actix::test]
async fn a_program_that_does_not_start_is_a_failed_run_and_not_the_end() {
    let world = World::start("/does/not/exist").await;
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("failed "), "{runs:?}");
    assert!(world.actor.connected());
}

#[actix::test]
async fn a_replaced_actor_fires_nothing_twice() {
    let world = World::start("/bin/false").await;
    world.until_ended(1).await;
    world.actor.do_send(Crash);
    world.deaths.wait_for(1).await;
    let actor = CronActor::new(world.config.clone(), world.deaths.notice()).start();
    let world = World { actor, ..world };
    sleep(Duration::from_secs(120)).await;
    assert_eq!(world.runs().len(), 1);
    assert!(world.stop().await);
}

#[actix::test]
async fn a_fire_under_way_survives_its_actor() {
    let world = World::start("/bin/false").await;
    soon(async {
        while world.runs().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.actor.do_send(Crash);
    world.deaths.wait_for(1).await;
    let actor = CronActor::new(world.config.clone(), world.deaths.notice()).start();
    let world = World { actor, ..world };
    assert_eq!(world.until_ended(1).await.len(), 1);
    assert!(world.stop().await);
}

#[actix::test]
async fn quiet_fires_nothing_any_more() {
    tokio::time::pause();
    let entry = Arc::new(entry("* * * * * *", Misfire::Skip));
    let world = World::with(TestDb::start(), vec![entry], "/bin/false");
    world.actor.send(Quiet).await.unwrap();
    world.actor.send(Quiet).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert!(world.runs().is_empty());
    assert!(world.stop().await);
}

#[actix::test]
async fn a_paused_entry_fires_from_its_resume_on_and_makes_nothing_up() {
    tokio::time::pause();
    let entry = Arc::new(entry(
        "* * * * * *",
        Misfire::CatchUp(5.try_into().unwrap()),
    ));
    let name = entry.config.name.clone();
    let pause = |until_ms| {
        vec![PauseRow {
            kind: "cron".to_owned(),
            name: name.clone(),
            since_ms: 0,
            until_ms,
            ordered_by: "ann".to_owned(),
        }]
    };
    let world = World::with(TestDb::start(), vec![entry], "/bin/true");
    world.config.pauses.learn(pause(None));
    sleep(Duration::from_secs(30)).await;
    let of_the_pause = "SELECT count(*) AS n FROM cron_run";
    assert_eq!(world.files.number(of_the_pause), 0);
    let resumed_ms = now_ms();
    world.config.pauses.learn(pause(Some(resumed_ms)));
    let runs = world.until_all_ended().await;
    assert_eq!(runs.len(), 1, "the first second: {runs:?}");
    let before = format!("{of_the_pause} WHERE scheduled_ms < {resumed_ms}");
    assert_eq!(world.files.number(&before), 0, "made up for");
    assert!(world.stop().await);
}

#[actix::test]
async fn a_stop_while_the_database_is_away_ends_at_once() {
    let files = TestDb::start();
    tokio::time::pause();
    let entry = Arc::new(entry("* * * * * *", Misfire::Skip));
    let away = Db::new(files.store.as_ref());
    let world = World::with(files, vec![entry], "/bin/false");
    let config = CronConfig {
        db: away,
        starting: StartingFires::default(),
        watched: WatchedRuns::default(),
        ..world.config.clone()
    };
    let actor = CronActor::new(config, world.deaths.notice()).start();
    sleep(Duration::from_secs(5)).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let begun = Instant::now();
    assert!(actor.send(Stop { deadline }).await.unwrap());
    assert_eq!(begun.elapsed().as_secs(), 0);
}

#[actix::test]
async fn a_claim_whose_answer_was_lost_is_made_all_the_same() {
    tokio::time::pause();
    let files = TestDb::start();
    // The adapter panics after the first claim of a fire is committed.
    let lost = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&lost);
    let panics = move |batch: Arc<[Write]>| {
        let claims = batch.iter().any(|w| matches!(w, Write::ClaimFire(_)));
        let panics = claims && !once.swap(true, Ordering::Relaxed);
        async move { assert!(!panics, "lost by a test") }.boxed()
    };
    files.hook(no_hook(), Arc::new(panics));
    let world = World::start_with(files, "/bin/false").await;
    let runs = world.until_ended(1).await;
    assert!(lost.load(Ordering::Relaxed));
    assert_eq!(runs.len(), 1);
    assert!(runs[0].contains("exit status 1"), "{runs:?}");
    assert!(world.stop().await);
}

#[actix::test]
async fn a_run_is_ended_by_its_timeout_while_the_database_hangs() {
    tokio::time::pause();
    let files = TestDb::start();
    let (going_on, pids) = (Barrier::closed(), Seen::new());
    let (gate, seen) = (going_on.clone(), pids.clone());
    let hangs = move |batch: Arc<[Write]>| {
        let started = batch.iter().find_map(|w| match w {
            Write::RunStarted(started) => Some(started.pid),
            _ => None,
        });
        let (gate, seen) = (gate.clone(), seen.clone());
        async move {
            if let Some(pid) = started {
                seen.note(pid);
                gate.pass().await;
            }
        }
        .boxed()
    };
    files.hook(Arc::new(hangs), no_hook());
    let program = files.script("exec sleep 1000");
    let mut entry = entry(YEARLY, Misfire::Coalesce);
    entry.config.timeout = Some(Duration::from_secs(1));
    let world = World::start_entry(files, entry, &program);
    let pid = pids.wait_for(1).await[0];
    soon(async {
        while identify(pid, None) != Identity::Gone {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(
        world.runs()[0].starts_with("running "),
        "the database hangs"
    );
    going_on.open();
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("timeout "), "{runs:?}");
    assert!(world.stop().await);
}

#[actix::test]
async fn a_row_of_this_daemon_that_nobody_watches_is_ended() {
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    files.sql(&format!(
        "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms)
         VALUES ('script1/me', 'script1', 'h', 1, 1, 0, 0, 5000);
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         VALUES ('script1', 'gone', 1000, 'left', 'n', 'script1/me', '{here}', 1, 'running', 1000)"
    ));
    let world = World::start_with(files, "/bin/false").await;
    world.until_ended(1).await;
    let left = "SELECT status AS line FROM cron_run WHERE uk = 'left'";
    assert_eq!(world.files.lines(left), ["failed"]);
}

#[actix::test]
async fn many_runs_that_are_left_behind_are_ended_together() {
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    files.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         SELECT 'script1', 'gone', i, 'left' || i, 'n', 'script1/dead', '{here}', 1, 'running', 1000 FROM n"
    ));
    let transactions = Seen::new();
    let seen = transactions.clone();
    let note = move |batch: Arc<[Write]>| {
        seen.note(batch.len());
        std::future::ready(()).boxed()
    };
    files.hook(Arc::new(note), no_hook());
    let world = World::with(files, Vec::new(), "/bin/false");
    soon(async {
        while world
            .files
            .number("SELECT count(*) AS n FROM cron_run WHERE state < 3")
            > 0
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(transactions.len() < 100, "{:?}", transactions.all());
    assert!(world.stop().await);
}

#[actix::test]
async fn a_fire_that_another_daemon_announced_is_left_to_it() {
    tokio::time::pause();
    let files = TestDb::start();
    let world = World::with(files, Vec::new(), "/bin/false");
    let entry = Arc::new(entry(YEARLY, Misfire::Skip));
    let uk: super::Uk = "3f0e4c0e-2e4d-4a43-9c58-41d17a390d11".parse().unwrap();
    let run = world.runs_file(&uk);
    let announcement = Announcement {
        uk: uk.clone(),
        entry: entry.key.clone(),
        name: "n".to_owned(),
        boot: "script1/dead".to_owned(),
        place: Place::here().clone(),
        scheduled_ms: 1000,
        fired_ms: 1000,
        timeout_ms: None,
        handed: true,
    };
    let _about_to_start = announce(&world.config.runs, &announcement)
        .unwrap()
        .unwrap();
    let here = serde_json::to_string(Place::here()).unwrap();
    world.files.sql(&format!(
        "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         VALUES ('script1', '{}', 1000, '{uk}', 'n', 'script1/dead', '{here}', 1, 'running', 1000)",
        entry.key
    ));
    let left = world.files.store.reader().open_runs("script1").await;
    let left = left.unwrap().remove(0);
    let config = Arc::new(world.config.clone());
    let watching = config.watched.begin(uk.as_str()).unwrap();
    let spawner = Arc::new(super::Spawner::start().unwrap());
    super::fire::run_again(config, entry, left, uk, spawner, watching).await;
    assert!(run.exists());
    let row = "SELECT state || owner AS line FROM cron_run";
    assert_eq!(world.files.lines(row), ["1script1/me"]);
}

#[actix::test]
async fn runs_of_a_partition_that_is_gone_are_ended_when_their_time_is_over() {
    const HOUR_MS: i64 = 3_600_000;
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    let pid = std::process::id();
    let ticks = super::process::machine::start_ticks(pid.cast_signed()).unwrap();
    let cases = [
        ("a day ago", "{}", 0, 25, 0),
        ("today", "{}", 0, 23, 0),
        ("with a timeout", "{}", HOUR_MS, 2, 0),
        ("here and alive", here.as_str(), 0, 25, pid),
        ("never started", here.as_str(), 0, 25, 0),
    ];
    for (name, machine, timeout_ms, hours, pid) in cases {
        let uk = uuid::Uuid::new_v4();
        let started = now_ms() - hours * HOUR_MS;
        files.sql(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms,
                timeout_ms, pid, start_ticks)
             VALUES ('gone', '{name}', 1000, '{uk}', '{name}', 'gone/dead', '{machine}', 1, 'running', {started},
                {timeout_ms}, {pid}, {ticks})"
        ));
    }
    let world = World::with(files, Vec::new(), "/bin/false");
    sleep(Duration::from_secs(150)).await;
    let ended = "SELECT name || ' ' || status AS line FROM cron_run WHERE state = 3 ORDER BY name";
    assert_eq!(
        world.files.lines(ended),
        [
            "a day ago lost",
            "never started failed",
            "with a timeout lost"
        ]
    );
    assert!(world.stop().await);
}

#[actix::test]
async fn all_old_rows_are_deleted_in_portions() {
    tokio::time::pause();
    let files = TestDb::start();
    files.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         SELECT 'script1', 'e', i, 'uk' || i, 'n', 'o', '{}', 3, 'success', i FROM n",
    );
    let begun = Instant::now();
    let world = World::with(files, Vec::new(), "/bin/false");
    soon(async {
        while world.files.number("SELECT count(*) AS n FROM cron_run") > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert!(
        begun.elapsed() < 2 * super::TRIM_INTERVAL,
        "all at one time"
    );
    assert!(world.stop().await);
}

#[actix::test]
async fn a_first_fire_that_was_missed_is_a_misfire() {
    tokio::time::pause();
    let files = TestDb::start();
    let entry = entry(YEARLY, Misfire::Coalesce);
    let two_years_ago = now_ms() - 2 * 366 * 24 * 3600 * 1000;
    files.sql(&format!(
        "INSERT INTO cron_entry (partition_name, entry, name, expression, live, live_since_ms)
         VALUES ('script1', '{}', 'n', '{YEARLY}', 1, {two_years_ago})",
        entry.key
    ));
    let world = World::with(files, vec![Arc::new(entry)], "/bin/false");
    assert_eq!(world.until_ended(1).await.len(), 1);
    assert!(world.stop().await);
}

/// The scheduler forgets all that it is given, or takes nothing.
#[derive(Message)]
#[rtype(result = "()")]
struct Replace(Timer);

impl Handler<Replace> for CronActor {
    type Result = ();

    fn handle(&mut self, Replace(timer): Replace, ctx: &mut Context<Self>) {
        let before = std::mem::replace(&mut self.timer, timer);
        for (due, entry) in { before }.take_all() {
            self.timer.add(due, entry);
        }
        self.set_timer(ctx);
    }
}

#[actix::test]
async fn fires_that_the_scheduler_forgets_are_made_each_once() {
    tokio::time::pause();
    for timer in [Timer::that_forgets, Timer::that_takes_no_date] {
        let entry = Arc::new(entry("* * * * * *", Misfire::Skip));
        let world = World::with(TestDb::start(), vec![entry], "/bin/true");
        world.until_ended(1).await;
        world.actor.send(Replace(timer())).await.unwrap();
        let rows = "SELECT scheduled_ms / 1000 AS line FROM cron_run ORDER BY scheduled_ms";
        let fired = || -> Vec<i64> {
            let rows = world.files.lines(rows);
            rows.iter().map(|second| second.parse().unwrap()).collect()
        };
        let first = fired()[0];
        soon(async {
            let are_all_made = |fired: &[i64]| (first..first + 10).all(|s| fired.contains(&s));
            while !are_all_made(&fired()) {
                sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        // No process is being started when the time until the deadline passes at once.
        world.actor.send(Quiet).await.unwrap();
        world.until_ended(fired().len()).await;
        assert!(world.stop().await);
    }
}
