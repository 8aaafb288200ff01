//! The description of each key, in both languages: the tables of the documents, so that a key is explained once.

use std::collections::HashMap;

use serde_json::Value;

use super::others::OTHERS;
use super::{File, Languages};

/// The documents whose tables describe keys.
const ENGLISH: [&str; 2] = [
    include_str!("../../../docs/en/configuration.md"),
    include_str!("../../../docs/en/alerts.md"),
];
const CHINESE: [&str; 2] = [
    include_str!("../../../docs/zh/configuration.md"),
    include_str!("../../../docs/zh/alerts.md"),
];

/// Stands for a free name in a path; the documents write a word in capitals there.
pub(super) const ANY: &str = "*";

/// The descriptions of the keys of one file, by path.
pub(super) struct Words {
    file: File,
    english: HashMap<String, Row>,
    chinese: HashMap<String, Row>,
}

/// A row of a table.
#[derive(Debug, Default)]
struct Row {
    meaning: String,
    default: String,
    range: String,
}

/// The documents' words for one file.
pub(super) fn of(file: File) -> Words {
    Words {
        file,
        english: rows(ENGLISH, file),
        chinese: rows(CHINESE, file),
    }
}

impl Words {
    /// The description of a key, if it has one.
    pub(super) fn description(&self, path: &str, languages: Languages) -> Option<String> {
        let english = || self.one(&self.english, path, |(_, english, _)| english);
        let chinese = || self.one(&self.chinese, path, |(_, _, chinese)| chinese);
        match languages {
            Languages::English => english(),
            Languages::Chinese => chinese(),
            Languages::Both => Some(format!("{}\n{}", english()?, chinese()?)),
        }
    }

    /// The keys that the documents have rows for.
    #[cfg(test)]
    pub(super) fn paths(&self) -> Vec<String> {
        self.english
            .keys()
            .chain(self.chinese.keys())
            .cloned()
            .collect()
    }

    fn one(
        &self,
        rows: &HashMap<String, Row>,
        path: &str,
        other: impl Fn((&str, &'static str, &'static str)) -> &'static str,
    ) -> Option<String> {
        if let Some(row) = rows.get(path) {
            return Some(row.text());
        }
        let path = if path.is_empty() {
            self.file.name()
        } else {
            path
        };
        let found = OTHERS.into_iter().find(|(key, ..)| *key == path);
        found.map(|found| other(found).to_owned())
    }

    /// The default, where it is one value.
    pub(super) fn default(&self, path: &str) -> Option<Value> {
        let text = self.english.get(path)?.default.as_str();
        let Some(code) = text
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix('`'))
        else {
            // Words are no value; a number is written plainly.
            return text.parse::<u64>().ok().map(Value::from);
        };
        if code.contains('`') {
            return None;
        }
        Some(serde_json::from_str(code).unwrap_or_else(|_| code.into()))
    }
}

impl Row {
    fn text(&self) -> String {
        let meaning = without_links(&self.meaning);
        match (self.range.as_str(), self.range.is_ascii()) {
            ("", _) => meaning,
            (range, true) => format!("{meaning} ({range})"),
            (range, false) => format!("{meaning}（{range}）"),
        }
    }
}

/// The rows of the tables of keys of one file.
fn rows(documents: [&str; 2], file: File) -> HashMap<String, Row> {
    documents
        .iter()
        .flat_map(|text| rows_of(text, file))
        .collect()
}

fn rows_of(document: &str, file: File) -> HashMap<String, Row> {
    let mut rows = HashMap::new();
    let mut section = File::Settings;
    let mut is_of_keys = false;
    let mut is_code = false;
    for line in document.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if !is_code && line.starts_with('#') {
            section = section_of(line);
        }
        let Some(cells) = line
            .strip_prefix("| ")
            .and_then(|rest| rest.strip_suffix('|'))
        else {
            is_of_keys = false;
            continue;
        };
        let cells: Vec<&str> = cells.split(" |").map(str::trim).collect();
        let [keys, meaning, default, range] = cells[..] else {
            continue;
        };
        if ["key", "键"].contains(&keys) {
            is_of_keys = true;
        }
        if is_of_keys && section == file {
            for key in codes(keys) {
                let row = Row {
                    meaning: meaning.to_owned(),
                    default: default.to_owned(),
                    range: range.to_owned(),
                };
                rows.insert(path(key), row);
            }
        }
    }
    rows
}

/// Other sections may say more of the settings.
fn section_of(heading: &str) -> File {
    match heading {
        heading if heading.contains("`etc/queue_") => File::Queue,
        heading if heading.contains("`etc/crontab_") => File::Crontab,
        _ => File::Settings,
    }
}

/// What stands between backticks.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `databases.NAME.url` as `databases.*.url`, `alert.webhooks[].url` as `alert.webhooks.url`.
fn path(key: &str) -> String {
    let is_name = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let parts = key.split('.').map(|part| match part {
        part if !part.is_empty() && is_name(part) => ANY,
        part => part.trim_end_matches("[]"),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// What leads to another place of the documents, which an editor does not show.
const REFERENCES: [&str; 3] = [", see ", "，见 ", "，见"];

/// `[words](#place)` as `words`, and `, see [words](#place)` as nothing.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        match link
            .split_once("](")
            .and_then(|(words, after)| Some((words, after.split_once(')')?.1)))
        {
            Some((words, after)) if !words.contains('`') => {
                match REFERENCES.iter().find_map(|lead| out.strip_suffix(lead)) {
                    Some(kept) => out.truncate(kept.len()),
                    None => out.push_str(words),
                }
                rest = after;
            }
            _ => {
                out.push('[');
                rest = link;
            }
        }
    }
    out + rest
}
