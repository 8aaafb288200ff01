//! Writes of orders: pauses, orders that daemons carry out, and what is written down of orders.

use super::Operation;
use crate::store::daemon_orders::{NewOrder, OrderEnd};
use crate::store::rows::{AuditRow, PauseOrder};

/// Pauses or resumes something, and writes that down. Replies whether that changes anything.
#[derive(Debug, Clone)]
pub(crate) struct SetPause(pub(crate) PauseOrder);

impl Operation for SetPause {
    type Reply = bool;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Writes down an order that was given to this daemon alone.
#[derive(Debug, Clone)]
pub(crate) struct Audit(pub(crate) AuditRow);

impl Operation for Audit {
    type Reply = ();

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Orders that daemons carry out; durable when replied, with their rows of `audit`.
#[derive(Debug, Clone)]
pub(crate) struct GiveOrders(pub(crate) Vec<NewOrder>);

impl Operation for GiveOrders {
    type Reply = ();
}

/// Takes an order from its owner, which is empty or a daemon that is dead, and marks the run that it ends. Replies
/// whether the order is the new owner's now; not where another daemon was quicker.
#[derive(Debug, Clone)]
pub(crate) struct TakeOrder {
    pub(crate) id: i64,
    pub(crate) from: String,
    pub(crate) owner: String,
}

impl Operation for TakeOrder {
    type Reply = bool;
}

/// Ends an order, and writes down what came of it. Replies whether this was its end; not where it is another's or has
/// ended.
#[derive(Debug, Clone)]
pub(crate) struct EndOrder(pub(crate) OrderEnd);

impl Operation for EndOrder {
    type Reply = bool;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Deletes at most `TRIM_ROWS` orders that ended before that. Replies how many; fewer: none is left.
#[derive(Debug, Clone)]
pub(crate) struct TrimOrders {
    pub(crate) before_ms: i64,
}

impl Operation for TrimOrders {
    type Reply = usize;
}
