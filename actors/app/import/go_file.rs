//! The Go project's settings file, as its program reads it.
//!
//! Its fields are strings there, whatever they look like: a password `0123` is not the number 123. So all scalars are
//! read as the text that stands in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use yaml_serde::Value;

/// The keys that have a meaning here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct GoFile {
    pub(super) exec_cmd: Option<String>,
    pub(super) mysql: Option<BTreeMap<String, Option<String>>>,
    pub(super) redis: Option<BTreeMap<String, Option<GoRedis>>>,
    pub(super) kafka: Option<GoKafka>,
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
            yaml_serde::from_str(text).map_err(|cause| told(&cause, "is no YAML"))?;
        let Value::Mapping(mapping) = value else {
            return Err(
                "is no settings file: `Name:`, `Mysql:`, `Redis:` … would be right".to_owned(),
            );
        };
        let keys = mapping.keys().map(|key| match key {
            Value::String(key) => key.clone(),
            other => format!("{other:?}"),
        });
        let keys = keys.collect();
        let file: Self = yaml_serde::from_str(text)
            .map_err(|cause| told(&cause, "has a value of another form than the Go project's"))?;
        Ok(Self { keys, ..file })
    }
}

fn told(cause: &yaml_serde::Error, what: &str) -> String {
    match cause.location() {
        Some(place) => format!(
            "{what}, at line {}, column {}",
            place.line(),
            place.column()
        ),
        None => what.to_owned(),
    }
}
