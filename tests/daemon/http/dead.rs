//! Dead letters over HTTP: seen, counted, run again and deleted, one by one and all that match.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Api, me};
use crate::dead_groups::{DeadLetter, insert_dead_letters, world};
use crate::engine::on_each_database;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_for, wait_until};
use crate::world::World;

on_each_database! { world =>
    dead_letters_are_paged_and_shown_without_loss,
    one_dead_letter_runs_again_or_is_deleted,
    dead_letters_that_match_are_counted_until_an_order_is_confirmed,
    an_order_at_a_rate_outlives_its_request_and_runs_each_dead_letter_once,
    an_order_that_is_stopped_leaves_the_other_dead_letters,
    a_ninth_order_is_refused_until_one_of_eight_is_stopped,
    a_port_that_only_reads_takes_no_orders_about_dead_letters,
}

fn dead_letters(count: usize, error: &str) -> Vec<DeadLetter<'static>> {
    let dead_letter = |n| {
        (
            "queue",
            "work_table",
            "work",
            format!("{error} {n}"),
            format!("{error}: {n} ms"),
        )
    };
    (0..count).map(dead_letter).collect()
}

fn ids(world: &World) -> Vec<i64> {
    world
        .database()
        .numbers("SELECT id FROM dead_letter ORDER BY id DESC")
}

fn dead_letters_are_paged_and_shown_without_loss(world: World) {
    insert_dead_letters(&mut world.database(), &dead_letters(25, "refused"));
    insert_dead_letters(&mut world.database(), &dead_letters(3, "odd"));
    let daemon = world.start();
    let api = Api::of(&world);
    for limit in [1, 7, 1000] {
        let all = api.all(&format!("dead?limit={limit}"), "letters", "before");
        let found: Vec<i64> = all
            .iter()
            .map(|dead_letter| dead_letter["id"].as_i64().unwrap())
            .collect();
        assert_eq!(found, ids(&world), "{limit}");
    }
    let odd = api.all(
        "dead?error=ODD&kind=queue&name=work&limit=2",
        "letters",
        "before",
    );
    assert_eq!(odd.len(), 3);
    let groups = api.get("dead/groups");
    assert_eq!(groups["at_least"], false);
    let sizes: Vec<_> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["letters"])
        .collect();
    assert_eq!(sizes, [25, 3]);
    let group = groups["groups"][1]["group"].as_str().unwrap();
    assert_eq!(odd[0]["group"], group);
    assert_eq!(
        api.all(&format!("dead?group={group}&limit=2"), "letters", "before")
            .len(),
        3
    );
    let unknown = api.ask("dead?group=0123456789");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    for wrong in [
        "dead?kind=dead letter",
        "dead?since=soon",
        "dead?limit=1001",
        "dead?nmae=x",
    ] {
        assert_eq!(api.ask(wrong).status, 400, "{wrong}");
    }

    // 80,000 bytes, of which none is text.
    let mut database = world.database();
    let last = ids(&world)[0];
    let bytes = match world.engine {
        crate::engine::Engine::Sqlite => "CAST(replace(hex(zeroblob(40000)), '0', 'x') AS BLOB)",
        crate::engine::Engine::Postgres => "convert_to(repeat('x', 80000), 'UTF8')",
        _ => "repeat('x', 80000)",
    };
    database.execute(&format!(
        "UPDATE dead_letter SET payload = {bytes} WHERE id = {last}"
    ));
    let dead_letter = api.get(&format!("dead/{last}"));
    assert_eq!(dead_letter["payload"], "x".repeat(65_536));
    assert_eq!(dead_letter["payload_bytes"], 80_000);
    let no_text = match world.engine {
        crate::engine::Engine::Postgres => r"'\xff00'::bytea",
        _ => "x'ff00'",
    };
    database.execute(&format!(
        "UPDATE dead_letter SET payload = {no_text} WHERE id = {last}"
    ));
    let dead_letter = api.get(&format!("dead/{last}"));
    assert_eq!(dead_letter["payload"], json!({ "base64": "/wA=" }));
    assert_eq!(api.ask("dead/999999999").status, 404);
    daemon.stop();
}

/// The order with that number, as soon as it has ended.
#[track_caller]
fn wait_end(api: &Api, order: &Value) -> Value {
    let path = format!("dead/orders/{}", order["id"]);
    wait_for(&format!("{path} to end"), LONG_PATIENCE, || {
        let order = api.get(&path);
        (!order["ended_ms"].is_null()).then_some(order)
    })
}

/// A confirmed order that must be taken; how far it is.
#[track_caller]
fn order(api: &Api, path: &str, body: &Value) -> Value {
    let answer = api.post(path, body);
    assert_eq!(answer.status, 202, "{path}: {}", answer.body);
    answer.json()
}

fn one_dead_letter_runs_again_or_is_deleted(world: World) {
    let mut all = dead_letters(4, "refused");
    let lost = (
        "queue",
        "gone_table",
        "wrok",
        "lost".to_owned(),
        "e".to_owned(),
    );
    all.push(lost);
    insert_dead_letters(&mut world.database(), &all);
    let [lost, bytes, purged, edited, plain]: [i64; 5] = ids(&world).try_into().unwrap();
    let mut daemon = world.start();
    let api = Api::of(&world);
    let replay = |id: i64| format!("dead/{id}/replay");
    let purge = |id: i64| format!("dead/{id}/purge");
    let done = api.order(&replay(plain), &Value::Null);
    assert_eq!(
        done,
        json!({ "ordered": "replay", "id": plain, "to": "queue `work`" })
    );
    let line = daemon.wait_log(&format!("dead letter {plain} runs again: queue `work`"));
    assert!(line.contains(&me()), "{line}");
    api.order(&replay(edited), &json!({ "payload": "edited" }));
    let base64 = json!({ "payload": { "base64": "Ynl0ZXM=" } });
    api.order(&replay(bytes), &base64);
    wait_until("all three to run", PATIENCE, || world.ledger_len() == 3);
    let done = api.order(&purge(purged), &Value::Null);
    assert_eq!(
        done,
        json!({ "ordered": "purge", "id": purged, "to": null })
    );
    let wrong = json!({ "payload": { "base64": "%" } });
    for (path, body, status, part) in [
        (replay(lost), Value::Null, 409, "did you mean `work`?"),
        (replay(plain), Value::Null, 404, "there is no dead letter"),
        (purge(purged), Value::Null, 404, "there is no dead letter"),
        (
            "dead/x/purge".to_owned(),
            Value::Null,
            404,
            "its id is a number",
        ),
        (replay(lost), wrong, 400, "`payload`: `base64`"),
        (replay(lost), json!({ "payload": 7 }), 400, "neither a text"),
        (replay(lost), json!({ "paylod": "" }), 400, "unknown field"),
    ] {
        let why = api.refused(&path, &body, status);
        assert!(why.contains(part), "{path}: {why}");
    }
    assert_eq!(
        api.get("dead/orders"),
        json!([]),
        "those of many dead letters"
    );
    let audit = api.all("audit?limit=2", "orders", "before");
    assert_eq!(audit.len(), 4);
    assert!(audit.iter().all(|order| order["ordered_by"] == *me()));
    daemon.stop();
    assert_eq!(ids(&world), [lost]);
    let ledger = world.ledger();
    for body in ["refused 0", "edited", "bytes"] {
        assert_eq!(ledger.of_body(body).len(), 1, "{body}");
    }
    assert_eq!(ledger.lines.len(), 3);
}

fn dead_letters_that_match_are_counted_until_an_order_is_confirmed(world: World) {
    insert_dead_letters(&mut world.database(), &dead_letters(30, "refused"));
    insert_dead_letters(&mut world.database(), &dead_letters(5, "odd"));
    let daemon = world.start();
    let api = Api::of(&world);
    let filter = json!({ "name": "work", "error": "refused" });
    for path in ["dead/replay", "dead/purge"] {
        let counted = api.order(path, &filter);
        assert_eq!(
            (&counted["count"], &counted["at_least"]),
            (&json!(30), &json!(false))
        );
        assert_eq!(api.order(path, &Value::Null)["count"], 35, "all there are");
        let not = json!({ "confirm": false, "rate": "1/h" });
        assert_eq!(api.order(path, &not)["count"], 35);
    }
    for (body, status, part) in [
        (json!({ "confirm": true, "rate": "fast" }), 400, "`100/s`"),
        (json!({ "confirm": true, "kind": "letter" }), 400, "`kind`"),
        (json!({ "confirm": true, "since": "soon" }), 400, "`since`"),
        (json!({ "confirm": true, "limit": 0 }), 400, "`limit`"),
        (json!({ "confirm": 1 }), 400, "the body: "),
        (json!({ "confirm": true, "nmae": "x" }), 400, "`nmae`"),
        (
            json!({ "confirm": true, "group": "0123456789" }),
            404,
            "0123456789",
        ),
    ] {
        for path in ["dead/replay", "dead/purge"] {
            let why = api.refused(path, &body, status);
            assert!(why.contains(part), "{body}: {why}");
        }
    }
    assert_eq!(ids(&world).len(), 35, "nothing was confirmed");
    assert_eq!(api.get("dead/orders"), json!([]));
    assert_eq!(api.get("audit")["orders"], json!([]));

    let some = json!({ "name": "work", "error": "refused", "limit": 10, "confirm": true });
    let done = wait_end(&api, &order(&api, "dead/replay", &some));
    assert_eq!(
        (&done["ordered"], &done["state"]),
        (&json!("replay"), &json!("done"))
    );
    assert_eq!(done["ordered_by"], me());
    assert_eq!(done["count"], 10);
    assert_eq!(done["replayed"], json!({ "queue `work`": 10 }));
    let groups = api.get("dead/groups");
    let group = &groups["groups"][0]["group"];
    let of_group = json!({ "group": group, "confirm": true });
    let done = wait_end(&api, &order(&api, "dead/replay", &of_group));
    assert_eq!(done["count"], 20);
    wait_until("those that match to run", PATIENCE, || {
        world.ledger_len() == 30
    });
    api.refused("dead/replay", &of_group, 404);
    let rest = json!({ "error": "odd", "confirm": true });
    let done = wait_end(&api, &order(&api, "dead/purge", &rest));
    assert_eq!(
        (&done["ordered"], &done["count"], &done["state"]),
        (&json!("purge"), &json!(5), &json!("done"))
    );
    let orders = api.get("dead/orders");
    let numbers = orders.as_array().unwrap().iter().map(|order| &order["id"]);
    let numbers: Vec<&Value> = numbers.collect();
    assert_eq!(numbers, [3, 2, 1], "the newest first");
    let stop = format!("dead/orders/{}/stop", done["id"]);
    let why = api.refused(&stop, &Value::Null, 409);
    assert!(why.contains("has ended already"), "{why}");
    assert_eq!(api.ask("dead/orders/4").status, 404);
    api.refused("dead/orders/x/stop", &Value::Null, 404);
    daemon.stop();
    assert!(ids(&world).is_empty());
    let audit = "SELECT count(*) AS n FROM audit WHERE ordered_by LIKE 'uid %' AND result LIKE '% dead_letters'";
    assert_eq!(world.database().number(audit), 3);
}

fn an_order_at_a_rate_outlives_its_request_and_runs_each_dead_letter_once(world: World) {
    const LETTERS: u32 = 30;
    let count = usize::try_from(LETTERS).unwrap();
    insert_dead_letters(&mut world.database(), &dead_letters(count, "refused"));
    let daemon = world.start();
    let api = Api::of(&world);
    let begun = Instant::now();
    let body = json!({ "name": "work", "rate": "10/s", "confirm": true });
    let taken = order(&api, "dead/replay", &body);
    // A dead letter each 100 ms, the first at once.
    let least = Duration::from_millis(100) * (LETTERS - 1);
    if begun.elapsed() < least {
        assert_eq!(taken["state"], "running");
    }
    let done = wait_end(&api, &taken);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    assert_eq!(
        (&done["state"], &done["count"]),
        (&json!("done"), &json!(LETTERS))
    );
    wait_until("all to run", PATIENCE, || world.ledger_len() >= count);
    daemon.stop();
    let ledger = world.ledger();
    for n in 0..LETTERS {
        assert_eq!(ledger.of_body(&format!("refused {n}")).len(), 1, "{n}");
    }
    assert!(ids(&world).is_empty());
    let audit = format!("SELECT count(*) AS n FROM audit WHERE result = '{LETTERS} dead letters'");
    assert_eq!(world.database().number(&audit), 1);
}

fn an_order_that_is_stopped_leaves_the_other_dead_letters(world: World) {
    insert_dead_letters(&mut world.database(), &dead_letters(3, "refused"));
    let daemon = world.start();
    let api = Api::of(&world);
    // The first at once, the second in an hour.
    let body = json!({ "rate": "1/h", "confirm": true });
    let taken = order(&api, "dead/purge", &body);
    let path = format!("dead/orders/{}", taken["id"]);
    wait_until("the first dead letter", PATIENCE, || {
        api.get(&path)["count"] == 1
    });
    let stopping = order(&api, &format!("{path}/stop"), &Value::Null);
    assert_eq!(stopping["id"], taken["id"]);
    let ended = wait_end(&api, &taken);
    assert_eq!(
        (&ended["state"], &ended["count"], &ended["error"]),
        (&json!("stopped"), &json!(1), &Value::Null)
    );
    daemon.stop();
    assert_eq!(ids(&world).len(), 2);
}

fn a_ninth_order_is_refused_until_one_of_eight_is_stopped(world: World) {
    insert_dead_letters(&mut world.database(), &dead_letters(20, "refused"));
    let daemon = world.start();
    let api = Api::of(&world);
    // Each order deletes one dead letter at once and waits an hour for its second.
    let body = json!({ "rate": "1/h", "confirm": true });
    let taken: Vec<Value> = (0..8).map(|_| order(&api, "dead/purge", &body)).collect();
    for path in ["dead/purge", "dead/replay"] {
        let why = api.refused(path, &body, 429);
        assert!(why.starts_with("nothing is ordered: 8 orders"), "{why}");
    }
    let newest = ids(&world)[0];
    api.order(&format!("dead/{newest}/purge"), &Value::Null);
    api.order(
        &format!("dead/orders/{}/stop", taken[3]["id"]),
        &Value::Null,
    );
    wait_end(&api, &taken[3]);
    assert_eq!(order(&api, "dead/purge", &body)["id"], 9);
    daemon.stop();
    assert!(!ids(&world).is_empty());
}

fn a_port_that_only_reads_takes_no_orders_about_dead_letters(world: World) {
    insert_dead_letters(&mut world.database(), &dead_letters(1, "refused"));
    let settings = std::fs::read(world.path("etc/dev.json")).unwrap();
    let mut settings: Value = serde_json::from_slice(&settings).unwrap();
    settings["http"]["read_only"] = json!(true);
    world.etc("dev.json", &settings);
    let daemon = world.start();
    let api = Api::of(&world);
    let [id]: [i64; 1] = ids(&world).try_into().unwrap();
    for path in [
        format!("dead/{id}/replay"),
        format!("dead/{id}/purge"),
        "dead/replay".to_owned(),
        "dead/purge".to_owned(),
        "dead/orders/1/stop".to_owned(),
    ] {
        let why = api.refused(&path, &json!({ "confirm": true }), 403);
        assert!(why.contains("http.read_only"), "{path}: {why}");
    }
    assert_eq!(api.get("dead/orders"), json!([]));
    assert_eq!(api.get(&format!("dead/{id}"))["id"], id);
    daemon.stop();
    assert_eq!(ids(&world), [id]);
}
