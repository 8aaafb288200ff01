//! That the schemas say what the readers do, and that each key is explained.

use std::mem::discriminant;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::*;
use crate::jsonc::sketch::Notes;
use crate::jsonc::testing;

/// The schema of a file as a validator that is not ours understands it.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn of(schema: Value) -> Self {
        const PLACE: &str = "http://localhost/schema.json";
        let mut compiler = Compiler::new();
        compiler.add_resource(PLACE, schema).unwrap();
        let mut schemas = Schemas::new();
        // It refuses what is no schema by draft 7's own.
        let index = compiler.compile(PLACE, &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn refuses(&self, value: &Value) -> Option<String> {
        let judged = self.schemas.validate(value, self.index);
        judged.err().map(|error| error.to_string())
    }
}

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

#[test]
fn each_key_is_described_in_both_languages() {
    let mut keys = 0;
    let mut wrong = Vec::new();
    for file in File::ALL {
        let words = words::of(file);
        walk(&file.sketch(&commands()), "", &mut |path, notes| {
            keys += 1;
            let [english, chinese] = [Languages::English, Languages::Chinese]
                .map(|language| words.description(path, language).unwrap_or_default());
            let is_chinese = chinese.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // Two names of levels and of webhooks are the same in both.
            if english.is_empty() || chinese.is_empty() || !is_chinese && english != chinese {
                wrong.push(format!(
                    "{}: `{path}`: `{english}`, `{chinese}`",
                    file.name()
                ));
            }
            let taken = notes.anything
                || notes.null
                || notes.boolean
                || notes.number.is_some()
                || notes.string.is_some()
                || notes.array.is_some()
                || notes.object.is_some();
            if !taken {
                wrong.push(format!("{}: `{path}` takes no value at all", file.name()));
            }
        });
    }
    assert!(
        wrong.is_empty(),
        "each key needs a row in the tables of keys of docs/, in both languages (or in `others.rs`):\n{}",
        wrong.join("\n")
    );
    assert!(keys > 80, "{keys}");
}

#[test]
fn nothing_is_described_that_no_reader_knows() {
    let mut unknown = Vec::new();
    for file in File::ALL {
        let mut known = Vec::new();
        walk(&file.sketch(&commands()), "", &mut |path, _| {
            known.push(path.to_owned());
        });
        let of_documents = words::of(file).paths();
        unknown.extend(
            of_documents
                .into_iter()
                .filter(|path| !known.contains(path)),
        );
    }
    assert_eq!(unknown, [""; 0], "rows of docs/ without a key");
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

/// Puts a value under a path, below objects that are made where they are not there.
fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for part in path.split('.') {
        if let Value::Array(all) = at {
            at = &mut all[0];
        }
        let part = part.replace(words::ANY, "ledger");
        let keys = at.as_object_mut().unwrap();
        at = keys.entry(part).or_insert_with(|| json!({}));
    }
    *at = value;
}

/// The same without what stands under a path.
fn without(mut root: Value, path: &str) -> Value {
    let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = Some(&mut root);
    for part in above.split('.').filter(|part| !part.is_empty()) {
        at = at.and_then(|at| at.get_mut(part.replace(words::ANY, "ledger")));
    }
    match at {
        Some(Value::Object(keys)) => drop(keys.remove(key)),
        Some(Value::Array(all)) => drop(all[0].as_object_mut().unwrap().remove(key)),
        _ => {}
    }
    root
}

#[test]
fn a_documented_default_is_what_a_missing_key_means() {
    let mut defaults = 0;
    for file in File::ALL {
        let words = words::of(file);
        walk(&file.sketch(&commands()), "", &mut |path, _| {
            let Some(default) = words.default(path) else {
                return;
            };
            let tried = bases(file).into_iter().map(|base| {
                let mut with = base.clone();
                put(&mut with, path, default.clone());
                let base = without(base, path);
                (read(file, &base.to_string()), read(file, &with.to_string()))
            });
            let same = |tried: &(Result<String, _>, Result<String, Vec<String>>)| {
                tried.0.is_ok() && tried.0.as_ref().ok() == tried.1.as_ref().ok()
            };
            let tried: Vec<_> = tried.collect();
            assert!(tried.iter().any(same), "`{path}`: {default}: {tried:#?}");
            defaults += 1;
        });
    }
    assert!(defaults > 30, "{defaults}");
}

/// Values that may stand anywhere, right and wrong.
fn pool() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        "ledger",
        "90s",
        "1h30m",
        "500ms",
        "0",
        "1m1h",
        "${NAME}",
        "${SOON}",
        "${SECRET}",
        "$${",
        "a b",
        "allow",
        "forbid",
        "skip",
        "coalesce",
        "info",
        "off",
        "slack",
        "default",
        "Asia/Shanghai",
        "Mars/Base",
        "0 * * * * *",
        "* * * * *",
        "@every 90s",
        "@daily",
        "127.0.0.1:7100",
        "h:9092",
        "mock://3",
        "redis://h",
        "sqlite://data/a.db",
        "mysql://u:p@h/d",
        "https://h/x",
        "dead:x",
        "..",
        "测试",
    ];
    let numbers = [
        "0",
        "-0",
        "1",
        "-1",
        "2",
        "15",
        "16",
        "100",
        "1000",
        "65536",
        "1.0",
        "0.5",
        "1e3",
        "0.001",
        "1e18",
        // Just outside bounds of durations.
        "0.0009999999999999",
        "0.0999999999999",
        "0.9999999999999",
        "3600.0000000001",
        "86400.0000000001",
    ];
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!(["x"]),
        json!([null]),
        json!([{}]),
        json!({ "base": 1, "max": "10m" }),
        json!({ "base": null }),
        json!({ "catch_up": 3 }),
        json!({ "url": "redis://h" }),
        json!({ "a": { "url": "sqlite://a.db" } }),
        json!({ "a": { "brokers": "h:1", "properties": { "client.id": 7 } } }),
        json!(["https://h", { "url": "http://h", "kind": "json" }]),
        json!({ "ledger": { "timeout": 5 } }),
        json!("x".repeat(256)),
        json!("${NAME}".to_owned() + &"x".repeat(250)),
        json!("x".repeat(600)),
    ];
    let numbers = numbers.map(|text| serde_json::from_str(text).unwrap());
    texts
        .iter()
        .map(|text| json!(text))
        .chain(numbers)
        .chain(others)
        .collect()
}

/// Replaces, adds or takes away something, somewhere.
fn disturb(value: &mut Value, keys: &[String], pool: &[Value], random: &mut fastrand::Rng) {
    let goes_deeper = random.u8(..16) > 0;
    match value {
        Value::Object(map) if goes_deeper && !map.is_empty() => {
            let at = random.usize(..map.len());
            let (key, inside) = map.iter_mut().nth(at).unwrap();
            let key = key.clone();
            match random.u8(..8) {
                0 => drop(map.remove(&key)),
                1 => {
                    let key = keys[random.usize(..keys.len())].clone();
                    map.insert(key, pool[random.usize(..pool.len())].clone());
                }
                _ => disturb(inside, keys, pool, random),
            }
        }
        Value::Array(all) if goes_deeper && !all.is_empty() => {
            let at = random.usize(..all.len());
            disturb(&mut all[at], keys, pool, random);
        }
        value => {
            // Mostly one of the same kind: else little would be taken.
            let same = random.u8(..4) > 0;
            let fits = |it: &&Value| !same || discriminant(*it) == discriminant(value);
            let fitting: Vec<&Value> = pool.iter().filter(fits).collect();
            *value = fitting[random.usize(..fitting.len())].clone();
        }
    }
}

/// Files that were disturbed at random, the same ones each time. More of them with `FUZZ_TRIES=1000000`.
#[test]
fn what_a_reader_takes_its_schema_takes() {
    const TRIES: usize = 2_000;
    let tries = std::env::var("FUZZ_TRIES").map_or(TRIES, |tries| tries.parse().unwrap());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/accepted/every_queue_key");
    let pool = pool();
    for file in File::ALL {
        // Of properties for Kafka clients are made each time, which takes a tenth of a second: few files have them.
        let tries = match file {
            File::Settings => tries / 4,
            File::Queue | File::Crontab => tries,
        };
        let validator = Validator::of(of(file));
        let name = match file {
            File::Settings => "settings.json".to_owned(),
            file => format!("{}_script1.json", file.name()),
        };
        let text = std::fs::read_to_string(corpus.join(name)).unwrap();
        let mut seeds = bases(file);
        let text = text.replace("PASSWORD", "SECRET");
        let mut every_key: Value = serde_json::from_str(&text).unwrap();
        if let Some(clusters) = every_key.get_mut("kafka") {
            let clusters = clusters.as_object_mut().unwrap().values_mut();
            clusters.for_each(|cluster| cluster["properties"] = json!({}));
        }
        seeds.push(every_key);
        let mut keys = vec!["other".to_owned()];
        walk(&file.sketch(&commands()), "", &mut |path, _| {
            keys.extend(path.rsplit('.').next().map(str::to_owned));
        });
        let mut random = fastrand::Rng::with_seed(20_261_129);
        let (mut taken, mut refused, mut by_both) = (0, 0, 0);
        for _ in 0..tries {
            let mut value = seeds[random.usize(..seeds.len())].clone();
            for _ in 0..random.usize(1..3) {
                disturb(&mut value, &keys, &pool, &mut random);
            }
            let text = value.to_string();
            let refusal = validator.refuses(&value);
            match read(file, &text) {
                Ok(_) => {
                    assert_eq!(refusal, None, "{}: {text}", file.name());
                    taken += 1;
                }
                Err(_) => {
                    refused += 1;
                    by_both += usize::from(refusal.is_some());
                }
            }
        }
        println!(
            "{}: {taken} taken, {refused} refused, {by_both} of them by the schema too",
            file.name()
        );
        assert!(
            taken * 20 > tries,
            "{}: too few are taken: {taken}",
            file.name()
        );
        assert!(
            by_both * 2 > refused,
            "{}: the schema sees {by_both} of {refused}",
            file.name()
        );
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
