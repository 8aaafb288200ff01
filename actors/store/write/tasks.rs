//! Writes of delayed tasks.

use super::{InsertedInto, Most, Operation, Settlement};
use crate::store::rows::{ClaimedTasks, NewTask, TaskEnd};
use crate::store::task_orders::{TaskOrder, TaskOrdered};

/// Delayed tasks, durable once their ids are replied.
#[derive(Debug, Clone)]
pub(crate) struct InsertTasks {
    pub(crate) rows: Vec<NewTask>,
    /// Of the rows that are `claimed`.
    pub(crate) owner: String,
}

impl Operation for InsertTasks {
    type Reply = Vec<i64>;
    const INSERTS_INTO: Option<InsertedInto> = Some(InsertedInto::DelayQueueLog);

    fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// Claims waiting tasks due by then, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct ClaimTasks {
    pub(crate) owner: String,
    /// Unix seconds. None: however long ago they were due.
    pub(crate) from_s: Option<i64>,
    /// Unix seconds.
    pub(crate) until_s: i64,
    pub(crate) most: Most,
}

impl Operation for ClaimTasks {
    type Reply = ClaimedTasks;
    const HAS_PARTS: bool = true;

    fn rows(&self) -> usize {
        self.most.rows()
    }
}

/// Ends of tasks; those of a stale owner change nothing.
#[derive(Debug, Clone)]
pub(crate) struct EndTasks {
    pub(crate) owner: String,
    pub(crate) ends: Vec<TaskEnd>,
}

impl Operation for EndTasks {
    type Reply = Settlement;
    const IS_END: bool = true;

    fn has_words_of_one(&self) -> bool {
        self.ends.len() == 1
    }

    fn rows(&self) -> usize {
        self.ends.len()
    }
}

/// Releases the owner's tasks but for some claims. Replies how many.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseTasks {
    pub(crate) owner: String,
    /// Row and fence of each claim that is kept.
    pub(crate) keep: Vec<(i64, i64)>,
}

impl Operation for ReleaseTasks {
    type Reply = usize;
    const IS_BARRIER: bool = true;
    const HAS_PARTS: bool = true;
}

/// Makes those of the waiting tasks due now that have failed before and are due later than that. Replies how many.
#[derive(Debug, Clone)]
pub(crate) struct HastenTasks {
    pub(crate) ids: Vec<i64>,
    /// Unix seconds.
    pub(crate) after_s: i64,
}

impl Operation for HastenTasks {
    type Reply = usize;
}

/// Cancels a delayed task, or sets when it is due, and writes that down.
#[derive(Debug, Clone)]
pub(crate) struct OrderTask(pub(crate) TaskOrder);

impl Operation for OrderTask {
    type Reply = TaskOrdered;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Deletes at most `TRIM_ROWS` finished tasks whose time was before that. Replies how many; fewer: none is left.
#[derive(Debug, Clone)]
pub(crate) struct TrimTasks {
    /// Unix seconds.
    pub(crate) before_s: i64,
}

impl Operation for TrimTasks {
    type Reply = usize;
    const HAS_PARTS: bool = true;
}
