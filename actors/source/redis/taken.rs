//! The answers of the script `take`.

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::payloads::Stored;

/// An answer.
pub(super) enum Taken {
    /// A batch, oldest message first.
    Batch(TakenBatch),
    /// There is no message now. With the milliseconds until a retry is due, if there is one.
    Nothing(Option<u64>),
    /// The server does not know this boot.
    Unknown,
    /// The server is back at an older state: it does not know batches that it gave.
    Older,
}

/// Messages of one batch, oldest first.
pub(super) struct TakenBatch {
    pub(super) taken_ms: i64,
    pub(super) messages: Stored,
    /// One for each message, where the messages are framed.
    pub(super) deaths: Option<Vec<Death>>,
}

/// The crashes that were recorded for a message whose handler ended its process.
#[derive(Debug, Default)]
pub(super) struct Death {
    pub(super) attempts: u32,
    pub(super) how: Option<String>,
}

impl FromRedisValue for Taken {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(parts) = value else {
            return Err("the script `take` answers an array".into());
        };
        let mut parts = parts.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let what: String = from_redis_value(next())?;
        match what.as_str() {
            "unknown" => Ok(Self::Unknown),
            "older" => Ok(Self::Older),
            "nothing" => {
                let due: i64 = from_redis_value(next())?;
                Ok(Self::Nothing(u64::try_from(due).ok()))
            }
            _ => {
                let kind: String = from_redis_value(next())?;
                let taken_ms = from_redis_value(next())?;
                let messages: Stored = from_redis_value(next())?;
                let mut deaths: Vec<Death> = from_redis_value(next())?;
                deaths.resize_with(messages.len(), Death::default);
                Ok(Self::Batch(TakenBatch {
                    taken_ms,
                    messages,
                    deaths: (kind == "f").then_some(deaths),
                }))
            }
        }
    }
}

impl FromRedisValue for Death {
    /// Names and values: `until`, `how`, and the boots that died with 1 or 0 attempts.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let fields: Vec<(String, String)> = from_redis_value(value)?;
        let mut death = Self::default();
        for (name, text) in fields {
            match name.as_str() {
                "until" => {}
                "how" => death.how = Some(text),
                _ => death.attempts += text.parse::<u32>().unwrap_or(0),
            }
        }
        Ok(death)
    }
}
