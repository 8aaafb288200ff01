//! The Go project's settings file, as its program reads it.
//!
//! Its fields are strings there, whatever they read like: a password `0123` is not the number 123. So all scalars are
//! read as the text that stands in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use yaml_serde::{Mapping, Value};

/// The keys that have a meaning here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct GoFile {
    pub(super) exec_cmd: Option<String>,
    pub(super) mysql: Option<BTreeMap<String, Option<String>>>,
    pub(super) redis: Option<BTreeMap<String, Option<GoRedis>>>,
    pub(super) kafka: Option<GoKafka>,
    /// Newer versions have several clusters, each under its name.
    #[serde(skip)]
    pub(super) clusters: BTreeMap<String, Option<GoKafka>>,
    pub(super) logger: Option<GoLogger>,
    pub(super) robot: Option<BTreeMap<String, Option<String>>>,
    /// All keys at the top, in their order.
    #[serde(skip)]
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct GoRedis {
    pub(super) addr: Option<String>,
    pub(super) pass: Option<String>,
    pub(super) db: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct GoKafka {
    pub(super) brokers: Option<String>,
    pub(super) max_idle: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct GoLogger {
    pub(super) path: Option<String>,
    pub(super) max_size: Option<String>,
    pub(super) max_backups: Option<String>,
    pub(super) max_age: Option<String>,
    pub(super) compress: Option<String>,
}

impl GoFile {
    /// # Errors
    ///
    /// When the text is no YAML, or no settings file; the message repeats no value, which may be a password.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let value: Value =
            yaml_serde::from_str(text).map_err(|cause| fault(&cause, "is no YAML"))?;
        let Value::Mapping(mapping) = value else {
            return Err(
                "is no settings file: `Name:`, `Mysql:`, `Redis:` … would be right".to_owned(),
            );
        };
        let faults = faults(&mapping);
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let keys = mapping.keys().map(|key| match key {
            Value::String(key) => key.clone(),
            other => format!("{other:?}"),
        });
        let keys = keys.collect();
        let file: Self = yaml_serde::from_str(text)
            .map_err(|cause| fault(&cause, "has a value of another form than the Go project's"))?;
        let clusters = match mapping.get("Kafka") {
            Some(Value::Mapping(kafka))
                if !kafka.is_empty() && kafka.values().all(Value::is_mapping) =>
            {
                let file: GoClusters = yaml_serde::from_str(text).map_err(|cause| {
                    fault(&cause, "has a value of another form than the Go project's")
                })?;
                file.kafka
            }
            _ => BTreeMap::new(),
        };
        Ok(Self {
            keys,
            clusters,
            ..file
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoClusters {
    kafka: BTreeMap<String, Option<GoKafka>>,
}

/// What stands at a key.
enum Form {
    /// A text, or what reads like a number or a boolean.
    Text,
    /// Such forms, each under a name of its own.
    Named(&'static Form),
    /// Known keys; others mean nothing here.
    Keys(&'static [(&'static str, Form)]),
    /// One cluster, or several under their names.
    Kafka,
}

const REDIS: Form = Form::Keys(&[
    ("Addr", Form::Text),
    ("Pass", Form::Text),
    ("Db", Form::Text),
]);
const CLUSTER: Form = Form::Keys(&[("Brokers", Form::Text), ("MaxIdle", Form::Text)]);
const FILE: Form = Form::Keys(&[
    ("ExecCmd", Form::Text),
    ("Mysql", Form::Named(&Form::Text)),
    ("Redis", Form::Named(&REDIS)),
    ("Kafka", Form::Kafka),
    (
        "Logger",
        Form::Keys(&[
            ("Path", Form::Text),
            ("MaxSize", Form::Text),
            ("MaxBackups", Form::Text),
            ("MaxAge", Form::Text),
            ("Compress", Form::Text),
        ]),
    ),
    ("Robot", Form::Named(&Form::Text)),
]);

impl Form {
    fn wanted(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Named(_) => "names with their values".to_owned(),
            Self::Keys(keys) => {
                let keys: Vec<String> = keys.iter().map(|(key, _)| format!("`{key}`")).collect();
                format!("the keys {}", keys.join(", "))
            }
            Self::Kafka => CLUSTER.wanted(),
        }
    }
}

/// Each value that is of another form; none of them is shown, it may be a password.
fn faults(file: &Mapping) -> Vec<String> {
    let mut faults = Vec::new();
    check("", &Value::Mapping(file.clone()), &FILE, &mut faults);
    faults
}

fn check(path: &str, value: &Value, form: &Form, faults: &mut Vec<String>) {
    let found = match (value, form) {
        (Value::Null, _) => return,
        (Value::Mapping(mapping), Form::Named(_) | Form::Keys(_) | Form::Kafka) => {
            for (key, value) in mapping {
                let Some(key) = key.as_str() else { continue };
                let of_key = match form {
                    Form::Named(form) => Some(*form),
                    Form::Keys(keys) => keys
                        .iter()
                        .find(|(name, _)| *name == key)
                        .map(|(_, form)| form),
                    _ if matches!(key, "Brokers" | "MaxIdle") => Some(&Form::Text),
                    _ => Some(&CLUSTER).filter(|_| value.is_mapping()),
                };
                if let Some(form) = of_key {
                    let dot = if path.is_empty() { "" } else { "." };
                    let shown = key.escape_debug();
                    check(&format!("{path}{dot}{shown}"), value, form, faults);
                }
            }
            return;
        }
        (Value::String(_) | Value::Number(_) | Value::Bool(_), Form::Text) => return,
        (Value::Mapping(_), _) => "keys below it",
        (Value::Sequence(_), _) => "a list",
        (Value::Tagged(_), _) => "a value with a tag",
        _ => "a single value",
    };
    faults.push(format!("`{path}`: wanted {}, found {found}", form.wanted()));
}

/// The fault for people. Of the parser's message only a key's name is repeated.
fn fault(cause: &yaml_serde::Error, what: &str) -> String {
    let text = cause.to_string();
    let twice = text
        .split_once("duplicate entry with key ")
        .map(|(_, key)| key.split(" at line ").next().unwrap_or(key))
        .map(|key| format!("has the key {} twice", key.replace('"', "`")));
    let what = twice.as_deref().unwrap_or(what);
    match cause.location() {
        Some(place) => format!(
            "{what}, at line {}, column {}",
            place.line(),
            place.column()
        ),
        None => what.to_owned(),
    }
}
