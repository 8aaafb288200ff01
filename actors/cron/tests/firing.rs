//! Which fires are made: missed, paused, after Quiet, forgotten by the scheduler.

use super::*;
use crate::clock::now_ms;
use crate::cron::CronActor;
use crate::cron::timer::Timer;
use crate::store::rows::PauseRow;

#[actix::test]
async fn a_missed_fire_is_made_up_for() {
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
async fn an_unstartable_program_is_a_failed_run() {
    let world = World::start("/does/not/exist").await;
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("failed "), "{runs:?}");
    assert!(world.actor.connected());
}

#[actix::test]
async fn quiet_fires_nothing_any_more() {
    tokio::time::pause();
    let entry = Arc::new(entry("* * * * * *", Misfire::Skip));
    let world = World::with(TestDb::start(), vec![entry], "/bin/false");
    world.stop.quiet();
    world.stop.quiet();
    sleep(Duration::from_secs(30)).await;
    assert!(world.runs().is_empty());
    assert!(world.stop().await);
}

#[actix::test]
async fn a_resumed_entry_makes_nothing_up() {
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
        world.stop.quiet();
        world.until_ended(fired().len()).await;
        assert!(world.stop().await);
    }
}
