//! Keys that are right, and change nothing beside what else is written: each is a note.
//!
//! Of queue and cron entries only live ones are checked: the others are noted where they are live. Keys of the settings
//! that nothing in this partition needs (`consumer_lease` without a pool that grows) are not: all partitions share that
//! file.

use super::Reading;
use super::commands::DELAY_QUEUE;
use super::queue::BatchLimits;
use super::retry::RetryRules;
use crate::jsonc::object::Object;
use crate::jsonc::quote;

impl Reading<'_> {
    /// A note where the key is there; `of` is what it belongs to, for people.
    fn without_effect(&mut self, o: &Object<'_, '_>, of: &str, key: &'static str, why: &str) {
        if is_written(o, key) {
            self.notes
                .push(format!("{of}: `{key}` has no effect: {why}"));
        }
    }

    pub(super) fn note_idle_batch_keys(
        &mut self,
        o: &Object<'_, '_>,
        name: &str,
        exec_cmd: &str,
        batch: BatchLimits,
    ) {
        let of = quote::name(name);
        // An unknown consumer is a fault of its own.
        if !self.commands.consumers.contains(exec_cmd) {
            return;
        }
        if !self.commands.batch_consumers.contains(exec_cmd) {
            let consumer = quote::name(exec_cmd);
            let why = format!("the consumer {consumer} takes its messages one by one");
            for key in ["batch_size", "batch_wait"] {
                self.without_effect(o, &of, key, &why);
            }
        } else if batch.size.get() == 1 {
            self.without_effect(o, &of, "batch_wait", "a batch of 1 message never waits");
        }
    }

    /// Of queue entries and of delayed tasks.
    pub(super) fn note_idle_retry_keys(&mut self, o: &Object<'_, '_>, of: &str, retry: RetryRules) {
        if retry.max_attempts.get() == 1 {
            let why = "with a `max_attempts` of 1 nothing is tried again";
            self.without_effect(o, of, "backoff", why);
        }
    }

    pub(super) fn note_idle_cron_keys(&mut self, o: &Object<'_, '_>, name: &str, is_series: bool) {
        let of = quote::name(name);
        if is_series {
            let why = "`@every` counts from the last fire, in any zone";
            self.without_effect(o, &of, "timezone", why);
        }
    }

    /// The Go project's entry, all of which does nothing.
    pub(super) fn note_delay_queue_entry(&mut self, name: &str) {
        self.notes.push(format!(
            "{}: `{DELAY_QUEUE}` does nothing here, the delay queue runs by itself; the entry may be left out",
            quote::name(name)
        ));
    }

    pub(super) fn note_idle_settings(&mut self, o: &Object<'_, '_>, own_is_sqlite: bool) {
        let of_database = o.here().member_names("database").unwrap_or_default();
        if own_is_sqlite && of_database.contains("max_connections") {
            self.notes.push(
                "`database`: `max_connections` has no effect: SQLite has one connection that writes"
                    .to_owned(),
            );
        }
    }
}

/// It is there, and not as `null`: that means the same as no key at all.
fn is_written(o: &Object<'_, '_>, key: &'static str) -> bool {
    o.get(key).is_some_and(|node| !node.is_null())
}

#[cfg(test)]
mod tests;
