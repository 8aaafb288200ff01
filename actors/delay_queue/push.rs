//! What may be pushed, and what a push answers.

use std::collections::BTreeSet;

use actix::{MailboxError, Message};

use super::pusher::Pushable;
use crate::store::DbError;
use crate::store::idempotency::NewKey;
use crate::store::rows::NewTask;
use crate::trace::Trace;

/// Characters that the columns of `delay_queue_log` hold.
const NAME_CHARS: usize = 255;
const EXEC_CMD_CHARS: usize = 50;
const PARAMS_CHARS: usize = 500;
/// The Go project's `exec_time` is an unsigned 32-bit number of seconds: up to 7 February 2106.
pub(crate) const LAST_SECOND: i64 = u32::MAX as i64;

/// A task for later.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PushItem {
    /// Shown to people. At most 255 characters.
    #[serde(default)]
    pub name: String,
    /// The registered handler.
    pub exec_cmd: String,
    /// Handed to the handler as it is. At most 500 characters.
    #[serde(default)]
    pub params: String,
    /// Seconds from now.
    #[serde(default)]
    pub delay_time: i64,
    /// Unix seconds; where it is not 0 it overrides `delay_time`.
    #[serde(default)]
    pub exec_time: i64,
    /// Names this push: a repetition with the same key and the same item is answered with the same id, and makes no second task;
    /// another item with this key is refused. 1 to 190 characters. Kept for `idempotency_retention`, by all daemons and commands
    /// on one database.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The W3C `traceparent` of its pusher, which its handler finds in [`Task::trace`](crate::Task). `ctx.push` sets that of the
    /// handler which calls it, where there is none. A text that is no `traceparent` is ignored.
    #[serde(default)]
    pub traceparent: Option<String>,
    /// The `tracestate` beside it; of at most 512 bytes, else it is left out.
    #[serde(default)]
    pub tracestate: Option<String>,
}

impl PushItem {
    /// In the trace of the handler that pushes it, unless it names one.
    pub(crate) fn traced(mut self) -> Self {
        if self.traceparent.is_none()
            && let Some(trace) = Trace::current()
        {
            self.traceparent = Some(trace.traceparent().to_owned());
            self.tracestate = trace.tracestate().map(str::to_owned);
        }
        self
    }

    fn trace(&self) -> Option<Trace> {
        Trace::parse(self.traceparent.as_deref()?, self.tracestate.as_deref())
    }
}

/// Asks DelayQueueActor to take tasks. Answered with their ids, in their order, after they are durable; refused whole.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<i64>, PushError>")]
pub struct Push(pub Vec<PushItem>);

/// Why nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// An item is not right; none of the list was taken.
    #[error("item {index} (`{name}`) cannot be pushed, and none of the list was: {reason}")]
    Item {
        /// Its place in the list, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The idempotency key of an item named another push before; none of the list was taken.
    #[error("item {index} (`{name}`) cannot be pushed, and none of the list was: {reason}")]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// What the key named before, and what would be right.
        reason: String,
    },
    /// The database did not take them.
    #[error("the tasks could not be stored")]
    Database(#[from] DbError),
    /// DelayQueueActor did not answer.
    #[error("the delay queue did not answer")]
    Gone(#[from] MailboxError),
}

/// The rows for a list, or the first item that is not right.
pub(super) fn rows(
    items: &[PushItem],
    pushable: &Pushable,
    now_ms: i64,
) -> Result<Vec<NewTask>, PushError> {
    let row = |(index, item): (usize, &PushItem)| {
        row(item, pushable, now_ms).map_err(|reason| PushError::Item {
            index,
            name: item.name.clone(),
            reason,
        })
    };
    let rows = items.iter().enumerate().map(row).collect();
    let mut keys = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(key) = &item.idempotency_key
            && !keys.insert(key)
        {
            return Err(PushError::Item {
                index,
                name: item.name.clone(),
                reason: format!(
                    "an earlier item of the list has the idempotency key `{key}`; each needs its own"
                ),
            });
        }
    }
    rows
}

/// The key of an item with what it names: all that the caller wrote, so not the moment that `delay_time` means this time.
pub(super) fn key_of(item: &PushItem) -> Option<NewKey> {
    let due = match item.exec_time {
        0 => format!("delay_time {}", item.delay_time),
        exec_time => format!("exec_time {exec_time}"),
    };
    let parts = [
        ("name", item.name.as_bytes()),
        ("exec_cmd", item.exec_cmd.as_bytes()),
        ("params", item.params.as_bytes()),
        ("due", due.as_bytes()),
    ];
    let key = item.idempotency_key.as_ref()?;
    Some(NewKey::new(key, "push", &parts))
}

/// Why an item alone would be refused. For callers that check it without a database.
pub(crate) fn refusal(item: &PushItem, pushable: &Pushable, now_ms: i64) -> Option<String> {
    row(item, pushable, now_ms).err()
}

fn row(item: &PushItem, pushable: &Pushable, now_ms: i64) -> Result<NewTask, String> {
    if let Some(refusal) = pushable.refusal(&item.exec_cmd) {
        return Err(refusal);
    }
    fits("name", &item.name, NAME_CHARS)?;
    fits("exec_cmd", &item.exec_cmd, EXEC_CMD_CHARS)?;
    fits("params", &item.params, PARAMS_CHARS)?;
    if let Some(refusal) = item.idempotency_key.as_deref().and_then(NewKey::refusal) {
        return Err(refusal);
    }
    Ok(NewTask {
        name: item.name.clone(),
        exec_cmd: item.exec_cmd.clone(),
        params: item.params.clone(),
        due_ms: due_ms(item, now_ms)?,
        claimed: false,
        trace: item.trace(),
    })
}

/// What a person should know of a name that no handler has.
pub(super) fn unknown(exec_cmd: &str, known: &BTreeSet<String>) -> String {
    let hint = crate::config::did_you_mean(exec_cmd, known);
    format!("no delayed task `{exec_cmd}` is registered{hint}")
}

fn fits(column: &str, text: &str, max_chars: usize) -> Result<(), String> {
    let chars = text.chars().count();
    if chars > max_chars {
        return Err(format!(
            "`{column}` has {chars} characters; at most {max_chars} fit its column"
        ));
    }
    if text.contains('\0') {
        return Err(format!(
            "`{column}` holds a NUL character, which not every database can store"
        ));
    }
    Ok(())
}

/// Why a text cannot be the params of a task.
pub(crate) fn params_refusal(params: &str) -> Option<String> {
    fits("params", params, PARAMS_CHARS).err()
}

fn due_ms(item: &PushItem, now_ms: i64) -> Result<i64, String> {
    let (key, value) = match item.exec_time {
        0 => ("delay_time", item.delay_time),
        exec_time => ("exec_time", exec_time),
    };
    if value < 0 {
        return Err(format!("`{key}` is {value}; it must not be negative"));
    }
    let due_ms = match item.exec_time {
        0 => value
            .checked_mul(1000)
            .and_then(|ms| ms.checked_add(now_ms)),
        _ => value.checked_mul(1000),
    };
    due_ms
        .filter(|due| due.div_euclid(1000) <= LAST_SECOND)
        .ok_or_else(|| {
            format!("`{key}` is {value}; tasks can be due up to {LAST_SECOND} (the year 2106)")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushable() -> Pushable {
        Pushable::Registered(["mail".to_owned()].into())
    }

    fn item() -> PushItem {
        PushItem {
            name: "n".to_owned(),
            exec_cmd: "mail".to_owned(),
            ..PushItem::default()
        }
    }

    #[test]
    fn exec_time_overrides_delay_time() {
        let now = 1_700_000_000_123;
        let due = |delay_time, exec_time| {
            let item = PushItem {
                delay_time,
                exec_time,
                ..item()
            };
            rows(&[item], &pushable(), now).map(|rows| rows[0].due_ms)
        };
        assert_eq!(due(0, 0).unwrap(), now);
        assert_eq!(due(5, 0).unwrap(), now + 5000);
        assert_eq!(due(5, 1).unwrap(), 1000, "in 1970: at once");
        assert_eq!(due(0, LAST_SECOND).unwrap(), LAST_SECOND * 1000);
        for (delay, exec) in [
            (-1, 0),
            (0, -1),
            (0, LAST_SECOND + 1),
            (i64::MAX, 0),
            (0, i64::MAX),
        ] {
            assert!(due(delay, exec).is_err(), "{delay} {exec}");
        }
    }

    #[test]
    fn a_list_is_refused_whole_with_the_item_that_is_wrong() {
        let cases = [
            (
                PushItem {
                    exec_cmd: "mial".to_owned(),
                    ..item()
                },
                "did you mean `mail`",
            ),
            (
                PushItem {
                    params: "😀".repeat(501),
                    ..item()
                },
                "at most 500",
            ),
            (
                PushItem {
                    name: "a\0b".to_owned(),
                    ..item()
                },
                "NUL",
            ),
            (
                PushItem {
                    name: "x".repeat(256),
                    ..item()
                },
                "at most 255",
            ),
        ];
        for (wrong, reason) in cases {
            let error = rows(&[item(), wrong], &pushable(), 0)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("item 1 "), "{error}");
            assert!(error.contains(reason), "{error}");
        }
        let longest = PushItem {
            params: "😀".repeat(500),
            ..item()
        };
        assert_eq!(
            rows(std::slice::from_ref(&longest), &pushable(), 0).unwrap()[0].params,
            longest.params
        );
        assert!(rows(&[], &pushable(), 0).unwrap().is_empty());
    }
}
