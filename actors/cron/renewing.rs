//! What a reload of the configuration asks of cron: other entries.
//!
//! An entry that is the same is the very same one, by its pointer: it stays on the due queue as it is due, and its runs
//! are watched as they were. One whose key is the same and which differs (its name, `overlap`, `timeout`, …) keeps its
//! times and is what it is now from its next fire on. One that came is planned as at a start: the database decides from
//! when on it fires. One that went fires nothing more; its runs go on to their ends.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;

use super::{CronActor, CronConfig, LiveEntry};

/// These are the live entries from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Renew(pub(crate) Vec<Arc<LiveEntry>>);

impl CronActor {
    pub(super) fn renew(&mut self, entries: Vec<Arc<LiveEntry>>, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        self.by_key = by_key(&entries);
        let current = |key: &str| self.by_key.get(key).cloned();
        self.timer.renew(current);
        self.config.backlog.renew(current);
        self.planned.retain(|key| self.by_key.contains_key(key));
        let config = CronConfig::clone(&self.config);
        self.config = Arc::new(CronConfig { entries, ..config });
        self.set_timer(ctx);
        // Those that are no more are marked so in the database too: when they come back nothing is made up for.
        self.learn(ctx);
    }

    /// The entry as it is now, where it still is to go on the due queue. While it was being planned a reload may have changed it,
    /// or taken it away; another one may have brought it back, with a state of its own, and plans it anew.
    pub(super) fn current(&self, planned: &LiveEntry) -> Option<Arc<LiveEntry>> {
        let current = self.by_key.get(&planned.key);
        let current = current.filter(|current| Arc::ptr_eq(&current.state, &planned.state));
        current.cloned()
    }
}

pub(super) fn by_key(entries: &[Arc<LiveEntry>]) -> HashMap<String, Arc<LiveEntry>> {
    let entries = entries.iter();
    let entries = entries.map(|entry| (entry.key.clone(), Arc::clone(entry)));
    entries.collect()
}

impl Handler<Renew> for CronActor {
    type Result = ();

    fn handle(&mut self, Renew(entries): Renew, ctx: &mut Self::Context) {
        self.renew(entries, ctx);
    }
}
