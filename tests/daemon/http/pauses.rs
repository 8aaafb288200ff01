//! Pausing and resuming over HTTP.

use rustix::process::getuid;
use serde_json::json;

use super::client::{Answer, ask_socket, ask_with};
use super::{address, world};
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

const PAUSE: &str = "/api/v1/queues/work/pause";
const RESUME: &str = "/api/v1/queues/work/resume";

#[test]
fn a_queue_rests_and_goes_on_by_orders_over_http() {
    let world = world(json!({}));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let own = format!("http://{address}");
    let order = |path: &str, origin: &str| -> Answer {
        let headers = [("Host", &*address), ("Origin", origin)];
        ask_with(&address, "POST", path, &headers)
    };
    assert_eq!(order(PAUSE, "null").status, 403);
    let given = order(PAUSE, &own);
    assert_eq!(given.status, 200, "{}", given.body);
    assert_eq!(given.json(), json!({ "ordered": "pause", "changed": true }));
    assert_eq!(order(PAUSE, &own).json()["changed"], false);
    daemon.wait_log("queue `work` is paused");
    let messages = ["one".to_owned()];
    world.send("work", &messages);

    // A daemon that would not rest would have consumed it long before the state shows who ordered the pause.
    let socket = world.path("data/script1.sock");
    wait_until("the pause in the state", PATIENCE, || {
        let state = ask_socket(&socket, "GET", "/api/v1/state").json();
        state["pauses"][0]["ordered_by"] == "127.0.0.1"
    });
    assert_eq!(world.ledger_len(), 0);
    assert_eq!(ask_socket(&socket, "POST", RESUME).status, 200);
    wait_until("the message to run", PATIENCE, || {
        world.ledger().missing(&messages).is_empty()
    });
    daemon.stop();

    let mut database = world.database();
    let ordered_by =
        database.texts("SELECT ordered_by FROM audit WHERE result = 'done' ORDER BY id");
    let user = format!("uid {} at the socket", getuid().as_raw());
    assert_eq!(ordered_by, ["127.0.0.1", &user]);
}

#[test]
fn everything_an_entry_and_the_delay_queue_rest_by_orders_over_http() {
    let world = world(json!({}));
    let mut queues = World::table_queue();
    let mut asleep = queues[0].clone();
    asleep["name"] = json!("asleep");
    asleep["table"] = json!("asleep");
    asleep["status"] = json!(4);
    queues.as_array_mut().unwrap().push(asleep);
    world.partition("script1", &queues, &json!([]));
    let mut daemon = world.start();
    let _ = address(&mut daemon);
    let socket = world.path("data/script1.sock");
    for (path, said) in [
        ("/api/v1/pause", "everything"),
        ("/api/v1/delay/pause", "the delay queue"),
    ] {
        assert_eq!(ask_socket(&socket, "POST", path).status, 200, "{path}");
        let line = daemon.wait_log(&format!("{said} is paused"));
        assert!(line.contains("at the socket"), "{line}");
    }
    for (path, why) in [
        (
            "/api/v1/queues/wrk/pause",
            "`wrk` in this daemon; did you mean `work`?",
        ),
        (
            "/api/v1/cron/none/resume",
            "there is no cron entry `none` in this daemon",
        ),
        (
            "/api/v1/queues/asleep/resume",
            "it is configured and not live: `asleep`: status 4 is release; this is dev",
        ),
    ] {
        let answer = ask_socket(&socket, "POST", path);
        assert_eq!(answer.status, 404, "{path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.ends_with(why), "{error}");
    }
    for path in ["/api/v1/resume", "/api/v1/delay/resume"] {
        assert_eq!(ask_socket(&socket, "POST", path).json()["changed"], true);
    }
    daemon.wait_log("the delay queue is resumed");
    daemon.stop();
}
