//! Files that were disturbed at random: a schema takes what its reader takes.

use std::mem::discriminant;

use boon::{Compiler, SchemaIndex, Schemas};

use super::*;

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
