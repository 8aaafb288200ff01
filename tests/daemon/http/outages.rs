//! Orders over HTTP while the database is away, and while it holds them up.

use std::io::Write;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::Api;
use super::client::ask_socket;
use crate::database::Database;
use crate::engine::{Engine, OwnServer, on_each_database, on_each_server};
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, wait_until};
use crate::world::World;

on_each_server! { own_world => without_a_database_nothing_is_ordered }
on_each_database! { world =>
    an_order_that_the_database_holds_up_is_pending_and_is_carried_out,
    an_order_whose_caller_has_gone_is_carried_out,
}

fn own_world(engine: Engine) -> Option<(World, OwnServer)> {
    World::on_own_server(engine, json!({ "heartbeat_interval": "500ms" }))
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({}))?;
    let entry = json!({
        "cron": "0 0 0 1 1 *", "name": "report", "exec_cmd": "ledger", "status": 1,
    });
    world.partition("script1", &World::table_queue(), &json!([entry]));
    world.migrate();
    Some(world)
}

/// Nobody can write into `audit`, and everybody can read.
struct Held(Engine, Database);

impl Held {
    fn new(world: &World) -> Self {
        let mut database = world.database();
        let engine = world.engine;
        for sql in match engine {
            Engine::Sqlite => &["BEGIN IMMEDIATE"][..],
            Engine::MariaDb | Engine::MySql => &["LOCK TABLES audit READ"],
            Engine::Postgres => &["BEGIN", "LOCK TABLE audit IN SHARE MODE"],
        } {
            database.execute(sql);
        }
        Self(engine, database)
    }

    fn release(mut self) {
        self.1.execute(match self.0 {
            Engine::Sqlite | Engine::Postgres => "ROLLBACK",
            Engine::MariaDb | Engine::MySql => "UNLOCK TABLES",
        });
    }
}

fn audited(world: &World) -> i64 {
    let mut database = world.database();
    database.number("SELECT count(*) FROM audit")
}

fn without_a_database_nothing_is_ordered((world, server): (World, OwnServer)) {
    world.migrate();
    world.insert_tasks(&[("far".to_owned(), now_s() + 100_000)]);
    let ids = "SELECT id FROM delay_queue_log";
    let task = world.database().number(ids);
    let mut daemon = world.start();
    let api = Api::of(&world);
    server.hang(&world);
    wait_until("the port to see that", PATIENCE, || {
        api.ask("daemons").status == 503
    });
    for path in [
        "pause".to_owned(),
        "queues/work/pause".to_owned(),
        "delay/pause".to_owned(),
        format!("delay/tasks/{task}/cancel"),
        "dead/1/purge".to_owned(),
        "dead/purge".to_owned(),
    ] {
        let why = api.refused(&path, &Value::Null, 503);
        let expected = "nothing is ordered: the database ";
        assert!(why.starts_with(expected), "{path}: {why}");
    }
    server.go_on();
    daemon.wait_log(" is back after ");
    wait_until("the port to see that", PATIENCE, || {
        api.ask("daemons").status == 200
    });
    // An order after those: whatever had been handed over was written before it.
    api.order("queues/work/resume", &Value::Null);
    daemon.stop();
    assert_eq!(audited(&world), 1);
}

fn an_order_that_the_database_holds_up_is_pending_and_is_carried_out(world: World) {
    let mut daemon = world.start();
    let api = Api::of(&world);
    let key = api.get("cron")[0]["key"].as_str().unwrap().to_owned();
    let held = Held::new(&world);
    let pending = "the database has not answered within 5 seconds: the order is pending";
    let why = api.refused("queues/work/pause", &Value::Null, 503);
    assert!(why.starts_with(pending), "{why}");
    let why = api.refused(&format!("cron/{key}/run"), &Value::Null, 503);
    assert!(why.starts_with(pending), "{why}");
    assert!(why.contains("; its run would be "), "{why}");
    held.release();
    daemon.wait_log("queue `work` is paused");
    wait_until("the run", LONG_PATIENCE, || world.ledger_len() == 1);
    daemon.stop();
    assert_eq!(audited(&world), 3, "a pause, a run and what came of it");
}

fn an_order_whose_caller_has_gone_is_carried_out(world: World) {
    let mut daemon = world.start();
    let api = Api::of(&world);
    let held = Held::new(&world);
    let mut gone = UnixStream::connect(world.path("data/script1.sock")).unwrap();
    gone.write_all(
        b"POST /api/v1/queues/work/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    )
    .unwrap();
    wait_until("the order to wait", PATIENCE, || {
        api.get("state")["pending_writes"] != 0
    });
    drop(gone);
    held.release();
    daemon.wait_log("queue `work` is paused");
    let socket = world.path("data/script1.sock");
    assert_eq!(ask_socket(&socket, "GET", "/healthz").status, 200);
    daemon.stop();
    assert_eq!(audited(&world), 1);
}
