//! Dead letters by where they came from, each with the link that shows those alone.

use super::format::count;
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
        DeadSource {
            label: match of.kind.as_str() {
                KIND_DELAY => self.t.wrong_delay_title().to_owned(),
                _ if of.name.is_empty() => in_line(of.source.as_bytes()),
                _ => in_line(of.name.as_bytes()),
            },
            dead_letters: at_most(of.count),
            link: self.link("/dead", &[("kind", &of.kind), ("source", &of.source)]),
        }
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
