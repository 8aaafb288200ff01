//! What nobody consumes, beside the dead letters: in the database, and on the Redis servers of the settings.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::plan::consumed_lists;
use crate::config::{Config, Places, tables_of_other_partitions};
use crate::source::{Consumed, RedisServers, Unconsumed, unconsumed};
use crate::store::Reader;

/// A Redis server that does not answer for this long is left out, which is printed.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Found {
    /// Where it lies, for people.
    pub(super) server: String,
    pub(super) found: Unconsumed,
}

pub(super) async fn find(
    config: &Config,
    places: &Places,
    reader: &dyn Reader,
) -> Result<Vec<Found>, Failure> {
    let consumed = Consumed::of(config, tables_of_other_partitions(places));
    let rows = unconsumed(reader, &consumed).await;
    let rows = rows.map_err(|cause| Failure::failed(chain(&cause)))?;
    let mut all: Vec<Found> = rows
        .into_iter()
        .map(|found| Found {
            server: "the database".to_owned(),
            found,
        })
        .collect();
    let servers = RedisServers::new(&config.settings);
    let asked = config.used_redis().map(|name| {
        let (servers, lists) = (&servers, consumed_lists(config, name));
        async move {
            let server = servers.get(name).map_err(|why| (name, why))?;
            let found = timeout(PATIENCE, server.unconsumed(&lists, Duration::ZERO)).await;
            let found = found.map_err(|_| (name, "it did not answer in time".to_owned()))?;
            let found = found.map_err(|fault| (name, fault.text().to_owned()))?;
            Ok((name, found))
        }
    });
    for answer in join_all(asked).await {
        match answer {
            Ok((name, found)) => all.extend(found.into_iter().map(|list| Found {
                server: format!("redis `{name}`"),
                found: list.into(),
            })),
            Err((name, why)) => {
                eprintln!("what nobody consumes on redis `{name}` is not listed: {why}");
            }
        }
    }
    Ok(all)
}
