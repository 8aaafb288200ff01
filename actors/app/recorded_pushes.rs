//! The Harness's table of tasks: it keeps what was pushed, for a test to read.

use std::future::ready;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;

use crate::delay_queue::{PushError, PushItem, TaskTable};
use crate::store::idempotency::KeyedRow;
use crate::store::rows::NewTask;

/// See the module's header. Clones share what they keep.
#[derive(Clone, Default)]
pub(super) struct RecordedPushes(Arc<Mutex<Vec<PushItem>>>);

impl RecordedPushes {
    /// In their order.
    pub(super) fn items(&self) -> Vec<PushItem> {
        self.0.lock().clone()
    }

    /// The id of a task is its place, from 1.
    fn record(&self, items: Vec<PushItem>) -> Result<Vec<KeyedRow>, PushError> {
        let mut recorded = self.0.lock();
        let with_key = |recorded: &[PushItem], key: &String| {
            let has_key = |item: &PushItem| item.idempotency_key.as_ref() == Some(key);
            recorded.iter().position(has_key)
        };
        for (index, item) in items.iter().enumerate() {
            let Some(key) = &item.idempotency_key else {
                continue;
            };
            if with_key(&recorded, key).is_some_and(|before| recorded[before] != *item) {
                return Err(PushError::Key {
                    index,
                    name: item.name.clone(),
                    reason: format!("the idempotency key `{key}` named another push before"),
                });
            }
        }
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            let before = item.idempotency_key.as_ref();
            let before = before.and_then(|key| with_key(&recorded, key));
            let place = before.unwrap_or(recorded.len());
            rows.push(KeyedRow {
                id: i64::try_from(place + 1).unwrap_or(i64::MAX),
                is_new: before.is_none(),
            });
            if before.is_none() {
                recorded.push(item);
            }
        }
        Ok(rows)
    }
}

impl TaskTable for RecordedPushes {
    fn insert(
        &self,
        items: Vec<PushItem>,
        _: Vec<NewTask>,
        _: String,
    ) -> LocalBoxFuture<'static, Result<Vec<KeyedRow>, PushError>> {
        ready(self.record(items)).boxed_local()
    }
}
