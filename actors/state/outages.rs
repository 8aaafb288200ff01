//! What is away now, and what is only held up by that. There is one list for the process: an outage is a fact of the
//! process, whichever part met it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use parking_lot::Mutex;

use super::recent::cut;
use super::view::{Away, OutageView};

/// Outages that go on, by the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    going_on: BTreeMap<u64, OutageView>,
    /// Since this process began.
    begun: u64,
}

static OUTAGES: LazyLock<Outages> = LazyLock::new(Outages::default);

/// The list of this process.
pub(crate) fn outages() -> &'static Outages {
    &OUTAGES
}

/// Keeps one outage in the list.
#[derive(Debug)]
pub(crate) struct OutageMark {
    of: &'static Outages,
    number: u64,
}

impl Outages {
    pub(crate) fn begin(
        &'static self,
        away: &Away,
        what: &str,
        since_ms: i64,
        cause: &str,
    ) -> OutageMark {
        let mut inner = self.inner.lock();
        let number = inner.next;
        inner.next += 1;
        inner.begun += 1;
        let view = OutageView {
            away: away.clone(),
            what: cut(what),
            since_ms,
            cause: cut(cause),
        };
        inner.going_on.insert(number, view);
        OutageMark { of: self, number }
    }

    /// The oldest first.
    pub(crate) fn list(&self) -> Vec<OutageView> {
        self.inner.lock().going_on.values().cloned().collect()
    }

    /// How many began since this process did.
    pub(crate) fn begun(&self) -> u64 {
        self.inner.lock().begun
    }
}

impl OutageMark {
    /// The cause as it is now.
    pub(crate) fn set_cause(&self, cause: &str) {
        if let Some(view) = self.of.inner.lock().going_on.get_mut(&self.number) {
            view.cause = cut(cause);
        }
    }
}

impl Drop for OutageMark {
    fn drop(&mut self) {
        self.of.inner.lock().going_on.remove(&self.number);
    }
}
