//! What is said of each key, in both languages: README's own tables, so that a key is explained once.

use std::collections::HashMap;

use serde_json::Value;

use super::{File, Languages};

const ENGLISH: &str = include_str!("../../../README.md");
const CHINESE: &str = include_str!("../../../README.zh-CN.md");

/// Stands for a free name in a path; README writes a word in capitals there.
pub(super) const ANY: &str = "*";

/// Keys that README has no row for: those that hold others, and what is inside a value.
const OTHERS: [(&str, &str, &str); 24] = [
    (
        "$schema",
        "where this file's JSON Schema is, for editors",
        "本文件的 JSON Schema 的位置，供编辑器使用",
    ),
    (
        "database",
        "the daemon's own database",
        "守护进程自己的数据库",
    ),
    (
        "databases",
        "more databases, for handlers, by name",
        "供处理函数使用的其他数据库，按名称",
    ),
    ("databases.*", "a database", "一个数据库"),
    (
        "redis",
        "Redis servers by name; `default` is meant where a queue names none",
        "Redis 服务器，按名称；队列未指定时使用 `default`",
    ),
    ("redis.*", "a Redis server", "一个 Redis 服务器"),
    (
        "kafka",
        "Kafka clusters by name; `default` is meant where a queue names none",
        "Kafka 集群，按名称；队列未指定时使用 `default`",
    ),
    ("kafka.*", "a Kafka cluster", "一个 Kafka 集群"),
    (
        "kafka.*.properties.*",
        "a setting of librdkafka",
        "librdkafka 的一个参数",
    ),
    (
        "delayed",
        "time limit and retries of delayed tasks, by `exec_cmd`",
        "延时任务的超时和重试，按 `exec_cmd`",
    ),
    ("delayed.*", "a delayed task", "一个延时任务"),
    (
        "delayed.*.backoff.base",
        "the wait after the first failed attempt",
        "第一次失败后的等待时间",
    ),
    (
        "delayed.*.backoff.max",
        "the longest wait",
        "最长的等待时间",
    ),
    (
        "backoff.base",
        "the wait after the first failed attempt",
        "第一次失败后的等待时间",
    ),
    ("backoff.max", "the longest wait", "最长的等待时间"),
    (
        "misfire.catch_up",
        "how many of the missed fires are run, the last ones",
        "补跑最后多少次错过的触发",
    ),
    ("logger", "the log files", "日志文件"),
    (
        "http",
        "the HTTP port; `null`: none",
        "HTTP 端口；`null`：不监听",
    ),
    ("alert", "alerts, and where they go", "告警及其接收方"),
    (
        "alert.webhooks.url",
        "the receiver's address",
        "接收方的地址",
    ),
    (
        "alert.webhooks.kind",
        "the form of the message; else the address's host says it",
        "消息的格式；未写时由地址的主机名决定",
    ),
    ("queue", "the queues of one partition", "一个分区的队列"),
    (
        "crontab",
        "the cron entries of one partition",
        "一个分区的定时任务",
    ),
    (
        "settings",
        "the daemon's settings in one environment",
        "守护进程在一个环境中的配置",
    ),
];

/// What is said of the keys of one file, by path.
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

/// README's words for one file.
pub(super) fn of(file: File) -> Words {
    Words {
        file,
        english: rows(ENGLISH, file),
        chinese: rows(CHINESE, file),
    }
}

impl Words {
    /// What is said of a key, where something is.
    pub(super) fn description(&self, path: &str, languages: Languages) -> Option<String> {
        let english = || self.one(&self.english, path, |(_, english, _)| english);
        let chinese = || self.one(&self.chinese, path, |(_, _, chinese)| chinese);
        match languages {
            Languages::English => english(),
            Languages::Chinese => chinese(),
            Languages::Both => Some(format!("{}\n{}", english()?, chinese()?)),
        }
    }

    /// The keys that README has rows for.
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
fn rows(readme: &str, file: File) -> HashMap<String, Row> {
    let mut rows = HashMap::new();
    let mut section = File::Settings;
    let mut is_of_keys = false;
    let mut is_code = false;
    for line in readme.lines() {
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

/// `[words](#place)` as `words`.
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
                out.push_str(words);
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
