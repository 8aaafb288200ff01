//! The argument and the answers of the script `beat`.

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// Whether the server should know this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acquaintance {
    New,
    /// A server that does not has lost its data.
    Known,
}

/// The answer to a heartbeat.
pub(super) enum Beat {
    Alive {
        now_ms: i64,
        /// The last number that the server knows of this boot.
        last: u64,
        numbers: Vec<u64>,
    },
    Dead,
    Lost,
}

impl FromRedisValue for Beat {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let parts: Vec<String> = from_redis_value(value)?;
        match parts.first().map(String::as_str) {
            Some("alive") => Ok(Self::Alive {
                now_ms: parts.get(1).and_then(|ms| ms.parse().ok()).unwrap_or(0),
                last: parts.get(2).and_then(|last| last.parse().ok()).unwrap_or(0),
                numbers: parts
                    .iter()
                    .skip(3)
                    .filter_map(|number| number.parse().ok())
                    .collect(),
            }),
            Some("lost") => Ok(Self::Lost),
            _ => Ok(Self::Dead),
        }
    }
}
