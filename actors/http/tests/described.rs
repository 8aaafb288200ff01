//! The routes and their answers are those of `openapi.json`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::orders::dead::{Deed, Meant};

fn description() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let source = concat!(include_str!("../routes.rs"), include_str!("../api/mod.rs"));
    let routes: BTreeSet<(String, String)> = source
        .match_indices(".route(")
        .map(|(at, _)| {
            let route = &source[at..at + source[at..].find(".to(").unwrap()];
            let path = route.split('"').nth(1).unwrap();
            let method = route.rsplit("web::").next().unwrap();
            (path.to_owned(), method.trim_end_matches("()").to_owned())
        })
        .collect();
    let described = description();
    let paths = described["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| (path.clone(), method.clone()))
    });
    assert_eq!(routes, described.collect());
    assert!(routes.len() > 10);
}

/// What an answer has that its schema does not say, or lacks.
fn differences(schema: &Value, value: &Value, all: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return differences(&all[name], value, all, &format!("{at}:{name}"), found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let fits = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    if !types.iter().any(fits) {
        return found.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Value::Array(items) = value {
        for item in items {
            differences(&schema["items"], item, all, &format!("{at}[]"), found);
        }
    }
    let (Value::Object(members), Value::Object(known)) = (value, &schema["properties"]) else {
        return;
    };
    for (key, member) in members {
        match known.get(key) {
            Some(schema) => differences(schema, member, all, &format!("{at}.{key}"), found),
            None => found.push(format!("{at}.{key} is not described")),
        }
    }
    for key in schema["required"].as_array().unwrap() {
        if !members.contains_key(key.as_str().unwrap()) {
            found.push(format!("{at}.{key} is missing"));
        }
    }
}

#[actix_rt::test]
async fn answers_are_as_described() {
    let db = TestDb::start();
    let config = config(&db, 2, HttpSettings::default());
    db.sql(
        "INSERT INTO delay_queue_log (id, name, exec_cmd, params, status, exec_time) VALUES (1, 'n', 'c', 'p', 1, 5);
         INSERT INTO dead_letter (id, kind, source, name, exec_cmd, original_id, payload, msg_key, headers, error, attempts,
             partition_name, first_ms, died_ms)
         VALUES (1, 'queue', 't', 'n', 'c', '1', x'ff', 'key', NULL, 'e', 1, 'script1', 1, 1);
         INSERT INTO audit (environment, at_ms, ordered_by, action, target, result) VALUES ('dev', 1, 'ann', 'run', 't', 'r');
         INSERT INTO daemon_order (environment, partition_name, kind, name, entry, uk, ordered_by, ordered_ms, state)
         VALUES ('dev', 'script1', 'run', 'report', 'k2', 'u', 'ann', 1, 1)",
    );
    let purge = dead_letters::NewJob {
        environment: "dev".to_owned(),
        ordered_by: "ann".to_owned(),
        meant: Meant {
            ids: vec![99],
            ..Meant::default()
        },
        deed: Deed::Purge,
        rate: None,
    };
    config.dead_letters.begin(&config.db, purge).unwrap();
    let description = description();
    let schemas = &description["components"]["schemas"];
    let mut seen = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let content = &methods["get"]["responses"]["200"]["content"];
        let Some(json) = content.get("application/json") else {
            continue;
        };
        let uri = path.replace("{name}", "queue%201").replace("{key}", "k2");
        let uri = uri.replace("{id}", "1").replace("{order}", "1");
        let get = TestRequest::get().uri(&uri);
        let (status, body) = ask!(config, Entrance::Socket, get);
        assert_eq!(status, StatusCode::OK, "{path}");
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let mut found = Vec::new();
        differences(&json["schema"], &answer, schemas, path, &mut found);
        assert_eq!(found, [""; 0]);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}
