//! Orders to pools, whichever actors they are now.

use std::collections::BTreeMap;

use actix::prelude::*;
use parking_lot::Mutex;

use crate::pool::{LagCheck, PoolActor};

/// By the name of the queue entry. A pool that is replaced takes the place of its predecessor.
#[derive(Default)]
pub(crate) struct PoolOrders {
    pools: Mutex<BTreeMap<String, Recipient<LagCheck>>>,
}

impl PoolOrders {
    /// From now on this is the pool of that entry.
    pub(crate) fn set(&self, queue: &str, pool: &Addr<PoolActor>) {
        let pool = pool.clone().recipient();
        self.pools.lock().insert(queue.to_owned(), pool);
    }

    /// The entry has no pool any more.
    pub(crate) fn remove(&self, queue: &str) {
        self.pools.lock().remove(queue);
    }

    /// Answers whether there is such a pool now.
    pub(crate) fn check_lag(&self, queue: &str) -> bool {
        let pool = self.pools.lock().get(queue).cloned();
        let pool = pool.filter(Recipient::connected);
        pool.inspect(|pool| pool.do_send(LagCheck)).is_some()
    }
}
