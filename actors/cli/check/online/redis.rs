//! Redis servers, and the lists that live entries read.

use std::collections::BTreeSet;
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Client, RedisError, cmd};

use super::{Found, FoundQueue, in_time};
use crate::config::RedisSettings;
use crate::source::{
    RedisServer, Sentinels, Unconsumed, UnconsumedList, replica_redis, unsuitable_redis,
};

/// The longest scan for lists that no daemon consumes, which goes through all keys. A million keys take less.
const LISTS_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn inspect(
    name: &str,
    settings: &RedisSettings,
    keys: Vec<FoundQueue>,
    consumed: BTreeSet<String>,
) -> Found {
    let found = Found::new("redis", name, settings.redacted());
    match in_time(ask(name, settings, &keys, &consumed)).await {
        Ok(Answers {
            info,
            lengths,
            primary,
            unconsumed,
        }) => Found {
            note: note(primary, unconsumed.is_none()),
            unconsumed: unconsumed
                .into_iter()
                .flatten()
                .map(Unconsumed::from)
                .collect(),
            reached: true,
            version: Some(version(&info)),
            // To be reached is not enough for queues.
            problem: unsuitable_redis(&info)
                .or_else(|| replica_redis(&info))
                .filter(|_| !keys.is_empty()),
            queues: keys.into_iter().zip(lengths).map(with_length).collect(),
            ..found
        },
        Err(problem) => Found {
            queues: keys,
            ..found.failed(problem)
        },
    }
}

type Length = Result<u64, String>;

struct Answers {
    /// `INFO`.
    info: String,
    lengths: Vec<Length>,
    /// Where Sentinels named it.
    primary: Option<String>,
    /// `None`: its keys could not be read, or not in time.
    unconsumed: Option<Vec<UnconsumedList>>,
}

fn note(primary: Option<String>, is_cut_short: bool) -> Option<String> {
    let primary = primary.map(|address| format!("the primary is {address}"));
    let cut_short = is_cut_short.then(|| {
        "not all of its keys could be read, so lists that nobody consumes may be missing here"
            .to_owned()
    });
    let notes: Vec<String> = primary.into_iter().chain(cut_short).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

async fn ask(
    name: &str,
    settings: &RedisSettings,
    keys: &[FoundQueue],
    consumed: &BTreeSet<String>,
) -> Result<Answers, String> {
    let plain = |cause: RedisError| cause.to_string();
    let (client, primary) = match settings.sentinels()? {
        Some(address) => {
            let primary = Sentinels::new(address)?.primary().await?;
            (primary.client, Some(primary.address))
        }
        None => (Client::open(settings.url.expose()).map_err(plain)?, None),
    };
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .map_err(plain)?;
    let info: String = cmd("INFO")
        .query_async(&mut connection)
        .await
        .map_err(plain)?;
    let mut lengths = Vec::new();
    for key in keys {
        lengths.push(length(&mut connection, &key.source).await);
    }
    let server = RedisServer::new(name, settings)?;
    let unconsumed = server.unconsumed(consumed, Duration::ZERO);
    let unconsumed = tokio::time::timeout(LISTS_PATIENCE, unconsumed).await;
    Ok(Answers {
        info,
        lengths,
        primary,
        unconsumed: unconsumed.ok().and_then(Result::ok),
    })
}

async fn length(connection: &mut MultiplexedConnection, key: &str) -> Length {
    let length = cmd("LLEN").arg(key).query_async(connection).await;
    length.map_err(|cause| cause.to_string())
}

/// Of `INFO`: one `name:value` a line.
fn version(info: &str) -> String {
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    format!(
        "Redis {}",
        version.unwrap_or("of an unknown version").trim()
    )
}

fn with_length((queue, length): (FoundQueue, Length)) -> FoundQueue {
    match length {
        Ok(waiting) => FoundQueue {
            waiting: Some(waiting),
            ..queue
        },
        Err(problem) => FoundQueue {
            problem: Some(problem),
            ..queue
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_among_what_the_server_says() {
        assert_eq!(
            version("# Server\r\nredis_version:7.0.15\r\nos:x\r\n"),
            "Redis 7.0.15"
        );
        assert_eq!(version(""), "Redis of an unknown version");
    }
}
