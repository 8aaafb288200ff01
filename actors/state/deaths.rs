//! Parts of this process that died and were replaced. There is one list for the process: the owner of a part notes its
//! death.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use parking_lot::Mutex;

use super::recent::cut;
use crate::clock::now_ms;

/// Deaths of one part that are kept: more than any rule asks for.
const MOST_DEATHS: usize = 100;
/// Parts that are counted one by one; those beyond are counted together.
const MOST_PARTS: usize = 1_000;

/// The last deaths of one part, the oldest first, unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartDeaths {
    pub(crate) part: String,
    pub(crate) at_ms: Vec<i64>,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    parts: Mutex<BTreeMap<String, VecDeque<i64>>>,
}

static DEATHS: LazyLock<Deaths> = LazyLock::new(Deaths::default);

/// The list of this process.
pub(crate) fn deaths() -> &'static Deaths {
    &DEATHS
}

impl Deaths {
    /// `part` as people call it: "CronActor", "a consumer of queue `orders`".
    pub(crate) fn note(&self, part: &str) {
        let mut parts = self.parts.lock();
        let mut part = cut(part);
        if !parts.contains_key(&part) && parts.len() >= MOST_PARTS {
            part = "another part".to_owned();
        }
        let times = parts.entry(part).or_default();
        if times.len() == MOST_DEATHS {
            times.pop_front();
        }
        times.push_back(now_ms());
    }

    pub(crate) fn list(&self) -> Vec<PartDeaths> {
        let parts = self.parts.lock();
        let list = parts.iter().map(|(part, times)| PartDeaths {
            part: part.clone(),
            at_ms: times.iter().copied().collect(),
        });
        list.collect()
    }
}
