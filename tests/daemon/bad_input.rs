//! Pushes at the limits of what the table holds, and beyond: an exact round trip or a clear refusal, on each database the
//! same.

use serde_json::{Value, json};

use crate::database::Row;
use crate::engine::{Engine, on_each_database};
use crate::wait::now_s;
use crate::world::World;

/// Of delayed tasks that nobody waits for.
const FAR_AWAY: i64 = 4_102_444_800;
/// The last second of an unsigned number of 32 bits: in February 2106.
const LAST_SECOND: i64 = u32::MAX as i64;

on_each_database! { world =>
    what_fits_comes_back_as_it_was,
    what_does_not_fit_is_refused_whole_and_named,
    a_list_of_ten_thousand_is_one_push,
    odd_text_reaches_the_handler,
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({}))?;
    world.migrate();
    Some(world)
}

fn item(name: &str, params: &str, exec_time: i64) -> Value {
    json!({ "name": name, "exec_cmd": "ledger", "params": params, "delay_time": 0, "exec_time": exec_time })
}

/// The answer of the handler that pushes: the ids, or the refusal.
fn push(world: &World, items: &[Value]) -> Result<Vec<i64>, String> {
    world.write("list.json", &Value::from(items));
    let output = world
        .command(&["exec", "push_list", "list.json"])
        .env("LEDGER_PUSH_LIST", "1")
        .output()
        .unwrap();
    let said: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    if output.status.success() {
        let ids = said["data"].as_array().unwrap();
        Ok(ids.iter().map(|id| id.as_i64().unwrap()).collect())
    } else {
        Err(said["data"].as_str().unwrap().to_owned())
    }
}

fn rows(world: &World) -> Vec<Row> {
    let rows =
        "SELECT id, name, exec_cmd, params, status, exec_time FROM delay_queue_log ORDER BY id";
    world.database().rows(rows)
}

fn expected(ids: &[i64], items: &[Value]) -> Vec<Row> {
    let row = |(id, item): (&i64, &Value)| {
        let text = |key: &str| item[key].as_str().unwrap().to_owned();
        let exec_time = item["exec_time"].to_string();
        let row = [
            id.to_string(),
            text("name"),
            text("exec_cmd"),
            text("params"),
            "1".to_owned(),
            exec_time,
        ];
        row.map(Some).into()
    };
    ids.iter().zip(items).map(row).collect()
}

/// Text that somebody on the way might change.
fn odd_texts() -> Vec<String> {
    let texts = [
        "",
        " blanks before and after ",
        "trailing blanks   ",
        "'single' \"double\" `back` \\ \\' \\0 \\n %_ $1 ? :name",
        "'); DROP TABLE delay_queue_log; --",
        "tab\there, line\nbreak\r\nbell\u{7}delete\u{7f}escape\u{1b}",
        "测试任务 ﷽ e\u{301} \u{200b}\u{202e}\u{feff}",
        "😀🦀👩‍👩‍👧‍👦 \u{10ffff} \u{e000}",
        "case ß ẞ İ ı",
    ];
    texts.map(str::to_owned).into()
}

fn what_fits_comes_back_as_it_was(world: World) {
    let mut items: Vec<Value> = odd_texts()
        .iter()
        .map(|text| item(text, text, FAR_AWAY))
        .collect();
    items.push(item(&"😀".repeat(255), &"🦀".repeat(500), FAR_AWAY));
    items.push(item(&"'".repeat(255), &"\\".repeat(500), FAR_AWAY));
    items.push(item("1970", "", 1));
    items.push(item("2038", "", i64::from(i32::MAX) + 1));
    items.push(item("2106", "", LAST_SECOND));
    let ids = push(&world, &items).unwrap();
    assert_eq!(rows(&world), expected(&ids, &items));
    assert_eq!(push(&world, &[]), Ok(Vec::new()));
    assert_eq!(rows(&world).len(), items.len());
}

fn what_does_not_fit_is_refused_whole_and_named(world: World) {
    let delay = |seconds: i64| json!({ "name": "bad", "exec_cmd": "ledger", "params": "", "delay_time": seconds, "exec_time": 0 });
    let mut unknown = item("bad", "", FAR_AWAY);
    unknown["exec_cmd"] = json!("legder");
    let until_2106 = LAST_SECOND - now_s();
    let cases = [
        (
            item("bad", &"😀".repeat(501), FAR_AWAY),
            "`params` has 501 characters; at most 500 fit its column",
        ),
        (
            item(&"名".repeat(256), "", FAR_AWAY),
            "`name` has 256 characters; at most 255 fit its column",
        ),
        (
            item("bad", "before\0after", FAR_AWAY),
            "`params` holds a NUL character",
        ),
        (item("b\0d", "", FAR_AWAY), "`name` holds a NUL character"),
        (
            item("bad", "", -1),
            "`exec_time` is -1; it must not be negative",
        ),
        (item("bad", "", i64::MIN), "it must not be negative"),
        (
            item("bad", "", LAST_SECOND + 1),
            "`exec_time` is 4294967296; tasks can be due up to 4294967295 (the year 2106)",
        ),
        (
            item("bad", "", i64::MAX),
            "tasks can be due up to 4294967295 (the year 2106)",
        ),
        (delay(-5), "`delay_time` is -5; it must not be negative"),
        (
            delay(until_2106 + 60),
            "tasks can be due up to 4294967295 (the year 2106)",
        ),
        (
            delay(i64::MAX),
            "tasks can be due up to 4294967295 (the year 2106)",
        ),
        (
            unknown,
            "no delayed task `legder` is registered; did you mean `ledger`?",
        ),
    ];
    for (bad, why) in cases {
        let list = [
            item("good", "", FAR_AWAY),
            bad.clone(),
            item("good", "", FAR_AWAY),
        ];
        let refusal = push(&world, &list).unwrap_err();
        assert!(refusal.contains(why), "{bad}: {refusal}");
        assert!(refusal.contains("item 1 ("), "{bad}: {refusal}");
    }
    assert_eq!(rows(&world), [[]; 0]);
}

fn a_list_of_ten_thousand_is_one_push(world: World) {
    let items: Vec<Value> = (0..10_000_i64)
        .map(|n| {
            item(
                &format!("item {n}"),
                &"界".repeat(n as usize % 500),
                FAR_AWAY + n,
            )
        })
        .collect();
    let ids = push(&world, &items).unwrap();
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(rows(&world), expected(&ids, &items));
}

fn odd_text_reaches_the_handler(world: World) {
    let texts = odd_texts();
    let items: Vec<Value> = texts.iter().map(|text| item(text, text, now_s())).collect();
    let ids = push(&world, &items).unwrap();
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let mut lines = world.ledger().lines;
    lines.sort_by_key(|line| line.id.as_i64());
    let ran: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.id.as_i64().unwrap(),
                line.name.clone(),
                line.body.clone(),
            )
        })
        .collect();
    let pushed = ids.into_iter().zip(texts);
    let pushed: Vec<_> = pushed.map(|(id, text)| (id, text.clone(), text)).collect();
    assert_eq!(ran, pushed);
}
