//! Orders to pools, whichever actors they are now.

use actix::prelude::*;
use parking_lot::Mutex;

use crate::pool::{LagCheck, PoolActor};

/// By the index of the pool. A pool that is replaced takes the place of its predecessor.
#[derive(Default)]
pub(crate) struct PoolOrders {
    pools: Mutex<Vec<Option<Recipient<LagCheck>>>>,
}

impl PoolOrders {
    /// From now on this is the pool at that index.
    pub(crate) fn set(&self, index: usize, pool: &Addr<PoolActor>) {
        let mut pools = self.pools.lock();
        if pools.len() <= index {
            pools.resize_with(index + 1, || None);
        }
        pools[index] = Some(pool.clone().recipient());
    }

    /// Answers whether there is such a pool now.
    pub(super) fn check_lag(&self, index: usize) -> bool {
        let pool = self.pools.lock().get(index).cloned().flatten();
        let pool = pool.filter(Recipient::connected);
        pool.inspect(|pool| pool.do_send(LagCheck)).is_some()
    }
}
