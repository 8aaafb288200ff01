//! Dead letters by where they came from, each with the link that shows those alone.

use super::format::count;
use super::language::Language;
use super::payload::in_line;
use super::visit::Visit;
use crate::state::{DeadLettersOf, MOST_SOURCES, QueueFacts, SOURCE_CAP};
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};

/// Dead letters of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadSource {
    /// The queue, or the delay queue.
    pub(super) label: String,
    pub(super) dead_letters: String,
    pub(super) link: String,
}

impl Visit {
    /// As they were counted last, the most first. Queue entries that share a topic are one source.
    pub(super) fn dead_sources(&self) -> Vec<DeadSource> {
        let counted = self.config.state.dead_letters_of.lock().clone();
        let mut counted = counted.unwrap_or_default();
        counted.sort_by_key(|of| std::cmp::Reverse(of.count));
        counted.iter().map(|of| self.dead_source(of)).collect()
    }

    fn dead_source(&self, of: &DeadLettersOf) -> DeadSource {
        let sharing = self.sharing(&of.kind, &of.source);
        DeadSource {
            label: match of.kind.as_str() {
                KIND_DELAY => self.t.wrong_delay_title().to_owned(),
                kind if sharing.len() > 1 => {
                    let source = self.t.source_named(kind, &of.source);
                    self.t.of_source(source, quoted(&sharing))
                }
                _ if of.name.is_empty() => in_line(of.source.as_bytes()),
                _ => in_line(of.name.as_bytes()),
            },
            dead_letters: at_most(of.count),
            link: self.link("/dead", &[("kind", &of.kind), ("source", &of.source)]),
        }
    }

    /// The live queue entries of this daemon that read one source: its dead letters are counted for all of them together.
    fn sharing(&self, kind: &str, source: &str) -> Vec<String> {
        let queues = self.config.state.queues();
        let facts = queues.iter().map(|queue| queue.facts());
        facts
            .filter(|facts| kind_of(facts) == kind && facts.source == source)
            .map(|facts| facts.name.clone())
            .collect()
    }

    /// That several entries show the same number of dead letters; none where this one reads its source alone.
    pub(super) fn shared_note(&self, facts: &QueueFacts) -> Option<String> {
        let sharing = self.sharing(kind_of(facts), &facts.source);
        (sharing.len() > 1).then(|| {
            let source = self.t.source_named(kind_of(facts), &facts.source);
            self.t.shared_by(source, quoted(&sharing))
        })
    }

    /// How many dead letters came from a queue's source; none where that is not known.
    pub(super) fn dead_letters_of(&self, facts: &QueueFacts) -> Option<String> {
        let counted = self.config.state.dead_letters_of.lock();
        let counted = counted.as_ref()?;
        let is_its = |of: &&DeadLettersOf| of.kind == kind_of(facts) && of.source == facts.source;
        match counted.iter().find(is_its) {
            Some(of) => Some(at_most(of.count)),
            // Further sources are not counted.
            None => (counted.len() < MOST_SOURCES).then(|| "0".to_owned()),
        }
    }
}

impl Language {
    /// The word for a kind of source, by `dead_letter.kind` or by the entry: everywhere the same.
    pub(super) fn kind_word(self, kind: &str) -> &str {
        match kind {
            KIND_TABLE | "table" => self.kind_table(),
            "redis" => self.kind_redis(),
            "kafka" => self.kind_kafka(),
            KIND_DELAY => self.kind_delay(),
            other => other,
        }
    }

    fn source_named(self, kind: &str, source: &str) -> String {
        format!("{} `{}`", self.kind_word(kind), in_line(source.as_bytes()))
    }
}

/// Names in a sentence.
fn quoted(names: &[String]) -> String {
    let names = names
        .iter()
        .map(|name| format!("`{}`", in_line(name.as_bytes())));
    names.collect::<Vec<_>>().join(", ")
}

/// `dead_letter.kind` of a queue's messages.
pub(super) fn kind_of(facts: &QueueFacts) -> &'static str {
    match facts.kind {
        "table" => KIND_TABLE,
        kind => kind,
    }
}

fn at_most(n: u64) -> String {
    match n > SOURCE_CAP {
        true => format!("{}+", count(SOURCE_CAP)),
        false => count(n),
    }
}
