//! The alerts that fire and the events that were reported, from the start of the daemon to its stop, for every poller.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Rule;
#[cfg(test)]
use super::events::Happened;
use super::events::Reported;
use super::rules::{self, Found};
use super::sight::Sight;
use super::table::{Moment, Table, Word};
use crate::alert::Notifier;
use crate::config::AlertRules;
use crate::state::deaths;

/// Turns the findings of a poll into words.
pub(super) type Change = fn(&mut Table, &[Found], Moment) -> Vec<Word>;

/// See the module's header. A copy is the same memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    table: Table,
    reported: Reported,
    /// Rules whose code has failed: the log has that.
    failed: BTreeSet<Rule>,
    /// The last word was sent.
    is_over: bool,
}

impl Memory {
    /// Reports what has changed. Neither waits nor fails.
    pub(super) fn report(
        &self,
        rules: &AlertRules,
        sight: &Sight,
        at: Moment,
        notifier: &Notifier,
        change: Change,
    ) {
        let mut inner = self.0.lock();
        if inner.is_over {
            return;
        }
        let inner = &mut *inner;
        let found = rules::all(rules, sight, &inner.reported);
        inner.note_failures(&found);
        for word in change(&mut inner.table, &found, at) {
            let happened = rules::happened(word.rule, sight);
            inner
                .reported
                .note(word.rule, &word.notice.subject, &happened);
            // Under the lock: no other poll begins before this word is handed over.
            notifier.notify(word.notice);
        }
    }

    /// Nothing is reported any more.
    pub(super) fn end(&self) {
        self.0.lock().is_over = true;
    }

    #[cfg(test)]
    pub(super) fn unreported(&self, rule: Rule, happened: &[Happened]) -> u64 {
        let inner = self.0.lock();
        let unreported = happened
            .iter()
            .map(|one| inner.reported.unreported(rule, one));
        unreported.sum()
    }
}

impl Inner {
    /// A rule that fails keeps what it found before. One line for each, and `restarts` speaks for the rest.
    fn note_failures(&mut self, found: &[Found]) {
        for found in found {
            let Some(panic) = &found.panic else {
                continue;
            };
            let name = found.rule.name();
            deaths().note(&format!("the rule `{name}` of alerts"));
            if self.failed.insert(found.rule) {
                log::error!("the rule `{name}` of alerts cannot be evaluated: {panic}");
            }
        }
    }
}
