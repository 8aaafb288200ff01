//! Whether a daemon is ready, and what is missing.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::get;
use super::{address, settings};
use crate::engine::Engine;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_for, wait_until};
use crate::world::World;

#[test]
fn without_its_database_a_daemon_is_alive_and_not_ready() {
    for engine in [Engine::MariaDb, Engine::Postgres] {
        let interval = json!({ "heartbeat_interval": "500ms", "lag_check_interval": "1s" });
        let mut all = settings(json!({}));
        all.as_object_mut()
            .unwrap()
            .extend(interval.as_object().unwrap().clone());
        let Some((world, server)) = World::on_own_server(engine, all) else {
            continue;
        };
        let mut daemon = world.start();
        let address = address(&mut daemon);
        let ready = || get(&address, "/readyz");
        wait_until("readiness", PATIENCE, || ready().status == 200);
        assert_eq!(ready().json(), json!({ "ready": true, "missing": [] }));
        server.crash();
        let missing = wait_for("the lack of a database", LONG_PATIENCE, || {
            let answer = ready();
            // Neither is known at once: the last answer of the database serves for a second.
            let both = answer.body.contains("heartbeats") && answer.body.contains("database");
            both.then_some(answer)
        });
        assert_eq!(missing.status, 503);
        assert_eq!(get(&address, "/healthz").status, 200);
        let outage = wait_for("the outage in the list", PATIENCE, || {
            let outages = get(&address, "/api/v1/outages").json();
            outages.as_array()?.first().cloned()
        });
        assert!(outage["since_ms"].as_i64().unwrap() > 0, "{outage}");
        assert!(get(&address, "/metrics").metric("simplest_script_outages") >= 1.0);
        let state = get(&address, "/api/v1/state").json();
        assert!(!state["wrong"].as_array().unwrap().is_empty(), "{state}");
        server.start();
        wait_until("readiness again", LONG_PATIENCE, || ready().status == 200);
        wait_until("no outage", PATIENCE, || {
            get(&address, "/api/v1/outages").body == "[]"
        });
        daemon.stop();
    }
}

/// A probe has its answer within two seconds, and a machine may be three times slower.
const ANSWERED: Duration = Duration::from_secs(6);

#[test]
fn a_database_that_hangs_is_not_ready_within_two_seconds_however_many_ask() {
    for engine in [Engine::MariaDb, Engine::Postgres] {
        let Some((world, server)) = World::on_own_server(engine, settings(json!({}))) else {
            continue;
        };
        let mut daemon = world.start();
        let address = address(&mut daemon);
        let ready = || get(&address, "/readyz");
        wait_until("readiness", PATIENCE, || ready().status == 200);
        server.hang(&world);
        // An answer of before serves for a second.
        let mut first = Duration::ZERO;
        wait_until("the lack of an answer", PATIENCE, || {
            let begun = Instant::now();
            let status = ready().status;
            first = first.max(begun.elapsed());
            status == 503
        });
        println!("{engine:?}: a probe of a database that hangs: {first:?}");
        assert!(first < ANSWERED, "{first:?}");
        let begun = Instant::now();
        let answers: Vec<(u16, String, Duration)> = std::thread::scope(|scope| {
            let ask = || {
                let begun = Instant::now();
                let answer = ready();
                (answer.status, answer.body, begun.elapsed())
            };
            let asked: Vec<_> = (0..30).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let longest = answers.iter().map(|(_, _, took)| *took).max().unwrap();
        println!("{engine:?}: 30 probes of a hung database, the last after {longest:?}");
        for (status, body, took) in answers {
            assert_eq!(status, 503);
            assert!(body.contains("the database"), "{body}");
            assert!(took < ANSWERED, "{took:?}");
        }
        assert!(begun.elapsed() < ANSWERED * 2);
        assert_eq!(get(&address, "/healthz").status, 200);
        assert_eq!(get(&address, "/api/v1/daemons").status, 503);
        server.go_on();
        wait_until("readiness again", LONG_PATIENCE, || ready().status == 200);
        daemon.stop();
    }
}
