//! What the handlers wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// One run of a handler.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    pub kind: String,
    pub name: String,
    pub id: Value,
    pub body: String,
    pub attempt: u32,
    pub pid: u32,
    pub at_us: i64,
    pub late_us: Option<i64>,
}

/// A SIGKILL may cut a write short where a page of the file ends; the next line then follows in the same one.
fn parse(text: &str) -> Line {
    let whole = serde_json::from_str(text);
    let after_a_torn_one = |_| serde_json::from_str(&text[text.rfind("{\"").unwrap_or(0)..]);
    whole
        .or_else(after_a_torn_one)
        .unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// All runs so far, in the order in which they were written.
#[derive(Debug, Default)]
pub struct Ledger {
    pub lines: Vec<Line>,
}

impl Ledger {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written at this moment.
        let (complete, _) = text.rsplit_once('\n').unwrap_or_default();
        Self {
            lines: complete.lines().map(parse).collect(),
        }
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.kind == kind)
    }

    pub fn of_body(&self, body: &str) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.body == body).collect()
    }

    pub fn attempts_of(&self, body: &str) -> Vec<u32> {
        self.of_body(body).iter().map(|line| line.attempt).collect()
    }

    pub fn pids(&self, kind: &str) -> BTreeSet<u32> {
        self.of_kind(kind).map(|line| line.pid).collect()
    }

    /// The runs of each message, row or fire.
    pub fn by_id(&self) -> BTreeMap<(String, String), Vec<&Line>> {
        let mut runs: BTreeMap<_, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            let id = (line.kind.clone(), line.id.to_string());
            runs.entry(id).or_default().push(line);
        }
        runs
    }

    /// Those of them that ran more than once.
    pub fn doubled(&self) -> Vec<Vec<&Line>> {
        let mut runs: Vec<_> = self.by_id().into_values().collect();
        runs.retain(|runs| runs.len() > 1);
        runs
    }

    /// Those that never ran.
    pub fn missing<'a>(&self, bodies: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
        let ran: BTreeSet<&str> = self.lines.iter().map(|line| line.body.as_str()).collect();
        let wanted = bodies.into_iter().map(String::as_str);
        wanted.filter(|body| !ran.contains(body)).collect()
    }
}
