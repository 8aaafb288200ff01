//! A daemon that falls silent (a suspended machine, a stopped container) while another lives.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::{Daemon, wait_stopped};
use crate::wait::{LONG_PATIENCE, now_s, now_us, random_moment, wait_for, wait_until};
use crate::world::World;

const CONSUMERS: usize = 4;
/// Further away than a daemon polls ahead: they are waiting, claimed, when the silence begins.
const TASKS_DUE_IN_S: i64 = 3;
/// What ran twice was in flight at the silence: its first run is at most so old then (microseconds).
const IN_FLIGHT_US: i64 = 1_000_000;
/// As many wait before each try: with fewer, a daemon on a fast machine has claimed only what it runs.
const WAITING: usize = 16 * CONSUMERS;
const CLAIMED: &str = "SELECT (SELECT count(*) FROM queue_message WHERE owner <> '')
    + (SELECT count(*) FROM delay_queue_log WHERE owner <> '' AND status = 2) AS n";

on_each_database! { world =>
    what_a_silent_daemon_claimed_goes_to_the_other_and_never_starts_a_second_time,
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "300ms" }))?;
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": CONSUMERS,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    Some(world)
}

/// Work that goes on coming until there is enough of it in flight.
#[derive(Default)]
struct Work {
    messages: Vec<String>,
    tasks: Vec<String>,
}

impl Work {
    /// Messages for now until enough wait, and some tasks that are claimed a second from now and due two seconds later.
    fn add(&mut self, world: &World, database: &mut Database) {
        let waiting = database.number("SELECT count(*) FROM queue_message WHERE owner = ''");
        let missing = WAITING.saturating_sub(usize::try_from(waiting).unwrap());
        let messages = self.messages.len()..self.messages.len() + missing.max(1);
        let messages: Vec<String> = messages.map(|n| format!("sleep:40:{n}")).collect();
        let rows = messages.iter().map(|body| {
            let payload = match world.engine {
                Engine::Sqlite => format!("CAST('{body}' AS BLOB)"),
                Engine::Postgres => format!("convert_to('{body}', 'UTF8')"),
                Engine::MariaDb | Engine::MySql => format!("'{body}'"),
            };
            format!("('work', {payload}, 0, 0)")
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        database.execute(&format!(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms) VALUES {rows}"
        ));
        let tasks = self.tasks.len()..self.tasks.len() + CONSUMERS;
        let due = now_s() + TASKS_DUE_IN_S;
        let tasks: Vec<_> = tasks.map(|n| (format!("task-{n}"), due)).collect();
        world.insert_tasks(&tasks);
        self.messages.extend(messages);
        self.tasks
            .extend(tasks.into_iter().map(|(params, _)| params));
    }
}

/// Stops it at a moment at which it has claimed more messages than can be running, and tasks; on SQLite while it is not in
/// the middle of a write: that has one lock, and nobody can work past one who holds it. Answers what it has claimed.
fn fall_silent(
    daemon: &Daemon,
    world: &World,
    database: &mut Database,
    work: &mut Work,
) -> BTreeSet<(String, String)> {
    wait_for("a silence with enough claimed", LONG_PATIENCE, || {
        work.add(world, database);
        random_moment(Duration::from_millis(50));
        daemon.signal(Signal::STOP);
        wait_stopped(daemon.pid());
        if database.is_unlocked() {
            let claimed = claimed_by(database, daemon.pid());
            let messages = claimed.iter().filter(|(kind, _)| kind == "queue").count();
            if messages > CONSUMERS && claimed.len() > messages {
                return Some(claimed);
            }
        }
        daemon.signal(Signal::CONT);
        None
    })
}

/// What the boot of this process has claimed, as (kind, id).
fn claimed_by(database: &mut Database, pid: u32) -> BTreeSet<(String, String)> {
    let ids = |database: &mut Database, kind: &str, table: &str| {
        let sql = format!(
            "SELECT id FROM {table} WHERE owner = (SELECT owner FROM boot WHERE pid = {pid})"
        );
        let ids = database.texts(&sql);
        ids.into_iter()
            .map(|id| (kind.to_owned(), id))
            .collect::<Vec<_>>()
    };
    let mut all = ids(database, "queue", "queue_message");
    all.extend(ids(database, "delay", "delay_queue_log"));
    all.into_iter().collect()
}

fn what_a_silent_daemon_claimed_goes_to_the_other_and_never_starts_a_second_time(world: World) {
    let mut database = world.migrate();
    let mut silent = world.start();
    let silent_pid = silent.pid();
    let mut work = Work::default();
    let claimed = fall_silent(&silent, &world, &mut database, &mut work);
    let stopped_us = now_us();
    // Not before: of two that poll for tasks in the same millisecond, the one that is stopped again and again gets
    // none.
    let mut other = world.start();
    let Work { messages, tasks } = work;

    other.wait_log("silent for three heartbeats");
    world.wait_drained();
    let resumed_us = now_us();
    silent.signal(Signal::CONT);
    silent.wait_log("others took over its work; it starts anew");
    silent.wait_log("results came too late, others had taken over");

    // It works again, on what is claimed anew: the other one leaves it some in the end.
    let mut more: Vec<String> = Vec::new();
    wait_until("it to work again", LONG_PATIENCE, || {
        let portion: Vec<String> = (more.len()..more.len() + 20)
            .map(|n| format!("sleep:20:again-{n}"))
            .collect();
        world.send("work", &portion);
        more.extend(portion);
        world.ledger().lines.iter().any(|line| {
            line.pid == silent_pid && line.at_us > resumed_us && line.body.contains("again")
        })
    });
    wait_until("new work to be done", LONG_PATIENCE, || {
        world.ledger().missing(&more).is_empty() && database.number(CLAIMED) == 0
    });
    silent.stop();
    other.stop();

    let ledger = world.ledger();
    assert_eq!(ledger.missing(messages.iter().chain(&more)), [""; 0]);
    assert_eq!(ledger.missing(&tasks), [""; 0]);
    let id_of = |line: &crate::ledger::Line| {
        (
            line.kind.clone(),
            line.id.to_string().trim_matches('"').to_owned(),
        )
    };
    // What ran at the moment of the stop goes on after it: at most one message a consumer, and no task.
    let late: Vec<_> = ledger
        .lines
        .iter()
        .filter(|line| {
            line.pid == silent_pid && line.at_us > resumed_us && claimed.contains(&id_of(line))
        })
        .collect();
    assert!(
        late.len() <= CONSUMERS,
        "claimed before, started after the silence: {late:#?}"
    );
    assert!(late.iter().all(|line| line.kind == "queue"), "{late:#?}");
    for runs in ledger.doubled() {
        assert!(
            claimed.contains(&id_of(runs[0])),
            "not in flight at the silence: {runs:#?}"
        );
        assert_eq!(runs.len(), 2, "{runs:#?}");
        let in_flight = stopped_us - IN_FLIGHT_US..;
        assert!(
            in_flight.contains(&runs[0].at_us),
            "ended long before: {runs:#?}"
        );
    }
    assert!(ledger.lines.iter().all(|line| line.attempt == 1));
    println!(
        "{:?}: silent for {} ms with {} messages and tasks claimed: {} ran twice, {} of them ended late",
        world.engine,
        (resumed_us - stopped_us) / 1000,
        claimed.len(),
        ledger.doubled().len(),
        late.len()
    );
}
