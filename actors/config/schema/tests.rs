//! That the schemas say what the readers do, and that each key is explained.

mod described;
mod disturbed;

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::jsonc::sketch::Notes;
use crate::jsonc::testing;

fn commands() -> Commands {
    let one = || ["ledger".to_owned()].into();
    Commands {
        consumers: one(),
        delayed: one(),
        cron: one(),
        ..Commands::default()
    }
}

/// What the reader makes of a text, or its faults.
fn read(file: File, text: &str) -> Result<String, Vec<String>> {
    let commands = commands();
    let mut reading = Reading {
        environment: Environment::default(),
        commands: &commands,
        lookup: &testing::environment,
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let (shown, faults) = testing::reading(text, |root| match file {
        File::Queue => format!("{:?}", queue::read(root, &mut reading)),
        File::Crontab => format!("{:?}", crontab::read(root, &mut reading)),
        File::Settings => format!("{:?}", Settings::read(root, &mut reading)),
    });
    match faults[..] {
        [] => Ok(shown.unwrap()),
        _ => Err(faults),
    }
}

/// Every place in a file, with what its reader notes there.
fn walk(sketch: &Sketch, path: &str, visit: &mut impl FnMut(&str, &Notes)) {
    let notes = sketch.notes();
    visit(path, &notes);
    if let Some(items) = &notes.array {
        walk(items, path, visit);
    }
    let Some(keys) = &notes.object else {
        return;
    };
    let below = |key: &str| format!("{path}.{key}").trim_start_matches('.').to_owned();
    for (key, known) in &keys.known {
        walk(&known.value, &below(key), visit);
    }
    if let Some(free) = &keys.free {
        walk(free, &below(words::ANY), visit);
    }
}

/// A file with an entry or setting under each free name, by which a key can be tried; `*` is `ledger`.
fn bases(file: File) -> Vec<Value> {
    let queue = |source: Value| {
        let mut entry = json!({
            "name": "a", "exec_cmd": "ledger", "progress": 1, "progress_lag_limit": 0, "progress_avg_msgcount": 1,
            "status": 1,
        });
        entry
            .as_object_mut()
            .unwrap()
            .extend(source.as_object().unwrap().clone());
        json!([entry])
    };
    match file {
        File::Queue => vec![
            queue(json!({ "key": "k" })),
            queue(json!({ "topic": "t", "group_id": "g" })),
            queue(json!({ "table": "t" })),
        ],
        File::Crontab => {
            vec![json!([{ "cron": "0 * * * * *", "name": "c", "exec_cmd": "ledger", "status": 1 }])]
        }
        File::Settings => vec![json!({
            "databases": { "ledger": { "url": "sqlite://data/a.db" } },
            "redis": { "ledger": { "url": "redis://h" } },
            "kafka": { "ledger": { "brokers": "h:1" } },
            "delayed": { "ledger": {} },
            "alert": { "webhooks": [{ "url": "https://h" }] },
        })],
    }
}

#[test]
fn a_schema_says_kinds_ranges_words_and_what_must_be_there() {
    let queue = of(File::Queue);
    let keys = &queue["items"]["properties"];
    assert_eq!(queue["items"]["additionalProperties"], false);
    assert_eq!(
        queue["items"]["required"],
        json!([
            "exec_cmd",
            "name",
            "progress",
            "progress_avg_msgcount",
            "progress_lag_limit",
            "status"
        ])
    );
    assert_eq!(keys["progress"]["type"], "integer");
    assert_eq!(keys["progress"]["maximum"], 10_000);
    assert_eq!(keys["max_progress"]["type"], json!(["integer", "null"]));
    assert_eq!(
        keys["backoff"]["type"],
        json!(["string", "number", "object"])
    );
    assert_eq!(keys["backoff"]["properties"]["base"]["minimum"], 0.001);
    let crontab = of(File::Crontab);
    let overlap = &crontab["items"]["properties"]["overlap"];
    assert_eq!(
        overlap["anyOf"][0]["enum"],
        json!(["allow", "forbid", "replace"])
    );
    assert_eq!(overlap["default"], "allow");
    let settings = of(File::Settings);
    assert_eq!(
        settings["properties"]["http"]["type"],
        json!(["object", "null"])
    );
    assert_eq!(
        settings["properties"]["logger"]["properties"]["level"]["default"],
        "info"
    );
    let description = settings["properties"]["workers"]["description"]
        .as_str()
        .unwrap();
    assert!(
        description.contains("one per core") && description.contains("每个 CPU 核"),
        "{description}"
    );
}

#[test]
fn an_editor_proposes_this_programs_handlers() {
    let text = File::Queue.schema(&commands(), Languages::English);
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        schema["items"]["properties"]["exec_cmd"]["examples"],
        json!(["ledger"])
    );
    assert!(!text.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c)));
    let text = File::Queue.schema(&commands(), Languages::Chinese);
    assert!(text.contains("常驻消费者数") && !text.contains("consumers at rest"));
    assert!(text.contains("应为时长") && !text.contains("wanted a duration"));
}

/// `UPDATE_EXPECTED=1 cargo test --lib config::schema` writes them anew.
#[test]
fn the_committed_schemas_are_those_of_the_readers() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/schema");
    for file in File::ALL {
        let path = etc.join(format!("{}.json", file.name()));
        let text = file.schema(&Commands::default(), Languages::Both);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::create_dir_all(&etc).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} is an older one", path.display());
    }
}
