//! What fires and what was said, from the start of the daemon to its stop, whoever looks meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Rule;
#[cfg(test)]
use super::events::Happened;
use super::events::Said;
use super::rules::{self, Found};
use super::sight::Sight;
use super::table::{Moment, Table, Word};
use crate::alert::Notifier;
use crate::config::AlertRules;
use crate::state::deaths;

/// What a look makes of what was found.
pub(super) type Change = fn(&mut Table, &[Found], Moment) -> Vec<Word>;

/// See the module's header. A copy is the same memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    table: Table,
    said: Said,
    /// Rules whose code has failed: the log has that.
    failed: BTreeSet<Rule>,
    /// The last word was said.
    is_over: bool,
}

impl Memory {
    /// Says what has changed. Neither waits nor fails.
    pub(super) fn say(
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
        let found = rules::all(rules, sight, &inner.said);
        inner.note_failures(&found);
        for word in change(&mut inner.table, &found, at) {
            let happened = rules::happened(word.rule, sight);
            inner.said.note(word.rule, &word.notice.subject, &happened);
            // Under the lock: nobody takes another look before this word is handed over.
            notifier.notify(word.notice);
        }
    }

    /// Nothing is said any more.
    pub(super) fn end(&self) {
        self.0.lock().is_over = true;
    }

    #[cfg(test)]
    pub(super) fn unsaid(&self, rule: Rule, happened: &[Happened]) -> u64 {
        let inner = self.0.lock();
        let unsaid = happened.iter().map(|one| inner.said.unsaid(rule, one));
        unsaid.sum()
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
                log::error!("the rule `{name}` of alerts cannot be looked at: {panic}");
            }
        }
    }
}
