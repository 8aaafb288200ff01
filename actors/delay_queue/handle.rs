//! Whichever DelayQueueActor there is at the moment: it is replaced when it dies, and handlers live longer than that.

use std::sync::Arc;

use actix::Addr;
use parking_lot::RwLock;

use super::DelayQueueActor;

/// A place for the address. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct DelayQueueHandle {
    addr: Arc<RwLock<Option<Addr<DelayQueueActor>>>>,
}

impl DelayQueueHandle {
    pub(crate) fn set(&self, addr: Addr<DelayQueueActor>) {
        *self.addr.write() = Some(addr);
    }

    /// None before the actor was started for the first time.
    pub(crate) fn get(&self) -> Option<Addr<DelayQueueActor>> {
        self.addr.read().clone()
    }
}
