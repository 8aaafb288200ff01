//! Orders that daemons carry out, as their rows were last read, for the parts of the daemon that do so.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::store::daemon_orders::OpenOrder;

/// An order that no daemon has begun to carry out by then is not carried out any more: an hour, in milliseconds. Longer
/// than a deployment takes; short enough that a run ordered "now" surprises nobody.
pub(crate) const ORDERS_KEPT_MS: i64 = 3600 * 1000;

/// Cheap to clone; every clone is the same. Outlives actors that die.
#[derive(Clone)]
pub(crate) struct Orders {
    open: watch::Sender<Arc<[OpenOrder]>>,
    under_way: Arc<Mutex<BTreeSet<i64>>>,
}

/// An order is being carried out here, until this is dropped.
pub(crate) struct UnderWay {
    orders: Arc<Mutex<BTreeSet<i64>>>,
    id: i64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.orders.lock().remove(&self.id);
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(Arc::from([])),
            under_way: Arc::default(),
        }
    }
}

impl Orders {
    /// The rows as they are now. Those that wait for a part that is being replaced are there again at the next poll.
    pub(crate) fn learn(&self, open: Vec<OpenOrder>) {
        self.open.send_replace(open.into());
    }

    /// Sees each poll of the rows from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<Arc<[OpenOrder]>> {
        self.open.subscribe()
    }

    /// None where it is being carried out here already.
    pub(crate) fn begin(&self, id: i64) -> Option<UnderWay> {
        let begun = self.under_way.lock().insert(id);
        begun.then(|| UnderWay {
            orders: Arc::clone(&self.under_way),
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_begun_once_at_a_time() {
        let orders = Orders::default();
        let begun = orders.begin(7);
        assert!(begun.is_some());
        assert!(orders.clone().begin(7).is_none());
        assert!(orders.begin(8).is_some(), "another one");
        drop(begun);
        assert!(orders.begin(7).is_some());
    }
}
