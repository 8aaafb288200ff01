//! Redis servers, and the lists that live entries read.

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Client, RedisError, cmd};

use super::{Found, FoundQueue, in_time};
use crate::config::RedisSettings;
use crate::source::{Sentinels, unsuitable_redis};

pub(super) async fn look(name: &str, settings: &RedisSettings, keys: Vec<FoundQueue>) -> Found {
    let found = Found::new("redis", name, settings.redacted());
    match in_time(ask(settings, &keys)).await {
        Ok(Answers {
            info,
            lengths,
            primary,
        }) => Found {
            reached: true,
            version: Some(version(&info)),
            note: primary.map(|address| format!("the primary is {address}")),
            // To be reached is not enough for queues.
            problem: unsuitable_redis(&info).filter(|_| !keys.is_empty()),
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
    /// `INFO server`.
    info: String,
    lengths: Vec<Length>,
    /// Where Sentinels named it.
    primary: Option<String>,
}

async fn ask(settings: &RedisSettings, keys: &[FoundQueue]) -> Result<Answers, String> {
    let said = |cause: RedisError| cause.to_string();
    let (client, primary) = match settings.sentinels()? {
        Some(address) => {
            let primary = Sentinels::new(address)?.primary().await?;
            (primary.client, Some(primary.address))
        }
        None => (Client::open(settings.url.expose()).map_err(said)?, None),
    };
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .map_err(said)?;
    let _: String = cmd("PING")
        .query_async(&mut connection)
        .await
        .map_err(said)?;
    let info: String = cmd("INFO")
        .arg("server")
        .query_async(&mut connection)
        .await
        .map_err(said)?;
    let mut lengths = Vec::new();
    for key in keys {
        lengths.push(length(&mut connection, &key.source).await);
    }
    Ok(Answers {
        info,
        lengths,
        primary,
    })
}

async fn length(connection: &mut MultiplexedConnection, key: &str) -> Length {
    let length = cmd("LLEN").arg(key).query_async(connection).await;
    length.map_err(|cause| cause.to_string())
}

/// Of `INFO server`: one `name:value` a line.
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
