//! Takes tasks: checks them, and puts their rows where they go.
//!
//! This is all that commands and cron processes need. A daemon's scheduler takes the same steps, and claims between them
//! what is due soon (`scheduler/pushing.rs`).

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::push::{self, PushError, PushItem};
use crate::clock::now_ms;
use crate::db::Db;
use crate::store::idempotency::{Keyed, KeyedInsert, KeyedRow, KeyedRows};
use crate::store::rows::NewTask;
use crate::store::write::{InsertKeyed, InsertTasks};

/// The `exec_cmd`s that may be pushed.
#[derive(Debug, Clone)]
pub(crate) enum Pushable {
    /// Those of registered handlers.
    Registered(BTreeSet<String>),
    /// Any: who registers no handlers (a test of one) pushes for others.
    Any,
}

impl Pushable {
    /// Why this one may not be pushed.
    pub(super) fn refusal(&self, exec_cmd: &str) -> Option<String> {
        match self {
            Self::Registered(known) => {
                (!known.contains(exec_cmd)).then(|| push::unknown(exec_cmd, known))
            }
            Self::Any => None,
        }
    }
}

/// The row of each task of a push, in its order.
pub(super) type Inserted = Result<Vec<KeyedRow>, PushError>;

/// Where the rows of pushed tasks go.
pub(crate) trait TaskTable {
    /// Inserts the rows of a push, all or none; ready after they are durable. `items` are what they were made of, as
    /// idempotency keys name an item. A key that is known names its row, and no new one is made. Rows that are claimed
    /// are the owner's.
    fn insert(
        &self,
        items: Vec<PushItem>,
        rows: Vec<NewTask>,
        owner: String,
    ) -> LocalBoxFuture<'static, Result<Vec<KeyedRow>, PushError>>;
}

impl TaskTable for Db {
    fn insert(
        &self,
        items: Vec<PushItem>,
        rows: Vec<NewTask>,
        owner: String,
    ) -> LocalBoxFuture<'static, Inserted> {
        let db = self.clone();
        async move {
            if items.iter().all(|item| item.idempotency_key.is_none()) {
                let ids = db.write(InsertTasks { rows, owner }).await?;
                let new = |id| KeyedRow { id, is_new: true };
                return Ok(ids.into_iter().map(new).collect());
            }
            let keys = items.iter().map(push::key_of).collect();
            let rows = KeyedRows::Tasks { rows, owner };
            match db.write(InsertKeyed(KeyedInsert { keys, rows })).await? {
                Keyed::Rows(inserted) => Ok(inserted),
                Keyed::Differs(difference) => {
                    let item = &items[difference.at];
                    let key = item.idempotency_key.as_deref().unwrap_or_default();
                    Err(PushError::Key {
                        index: difference.at,
                        name: item.name.clone(),
                        reason: difference.describe(key),
                    })
                }
            }
        }
        .boxed_local()
    }
}

/// See the module's header.
pub(crate) struct Pusher {
    pushable: Pushable,
    table: Box<dyn TaskTable>,
}

impl Pusher {
    pub(crate) fn new(pushable: Pushable, table: impl TaskTable + 'static) -> Self {
        Self {
            pushable,
            table: Box::new(table),
        }
    }

    /// Checks the items, inserts their rows unclaimed, and answers their ids after that is durable.
    pub(crate) fn push(
        &self,
        items: Vec<PushItem>,
    ) -> LocalBoxFuture<'static, Result<Vec<i64>, PushError>> {
        match self.rows(&items, now_ms()) {
            Ok(rows) => {
                let insert = self.insert(items, rows, String::new());
                insert.map(|inserted| inserted.map(ids)).boxed_local()
            }
            Err(refused) => ready(Err(refused)).boxed_local(),
        }
    }

    pub(super) fn rows(&self, items: &[PushItem], now_ms: i64) -> Result<Vec<NewTask>, PushError> {
        push::rows(items, &self.pushable, now_ms)
    }

    pub(super) fn insert(
        &self,
        items: Vec<PushItem>,
        rows: Vec<NewTask>,
        owner: String,
    ) -> LocalBoxFuture<'static, Inserted> {
        match rows.is_empty() {
            true => ready(Ok(Vec::new())).boxed_local(),
            false => self.table.insert(items, rows, owner),
        }
    }
}

pub(super) fn ids(inserted: Vec<KeyedRow>) -> Vec<i64> {
    inserted.into_iter().map(|row| row.id).collect()
}
