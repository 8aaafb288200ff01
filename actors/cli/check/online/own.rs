//! The daemon's own database.

use std::sync::Arc;

use super::{Found, FoundQueue, FoundTable, sources};
use crate::bootstrap::failure::chain;
use crate::config::{Config, Places, SourceConfig, tables_of_other_partitions};
use crate::source::{Consumed, unconsumed};
use crate::store::rows::COUNT_CAP;
use crate::store::{DbError, Store, adapter};

pub(super) async fn inspect(config: &Config, places: &Places) -> Found {
    let found = Found::new(
        "tables",
        "database",
        config.settings.database.url.redacted(),
    );
    match ask(
        config,
        places,
        Found::new("tables", "database", found.address.clone()),
    )
    .await
    {
        Ok(found) => found,
        Err(cause) => found.failed(chain(&cause)),
    }
}

async fn ask(config: &Config, places: &Places, found: Found) -> Result<Found, DbError> {
    let store = adapter(&config.settings.database);
    let inspected = {
        let store = Arc::clone(&store);
        let inspected = actix_rt::task::spawn_blocking(move || store.inspect()).await;
        inspected.map_err(|cause| DbError::Away(cause.to_string()))??
    };
    let ready = inspected.exists && inspected.pending.is_empty();
    let problem = (!inspected.missing_rights.is_empty()).then(|| {
        format!(
            "the next start fails: {} migrations are pending, and for those it lacks {}; somebody who has that runs what \
             `migrate --print` prints",
            inspected.pending.len(),
            inspected.missing_rights.join(", ")
        )
    });
    let queues = sources(config, |source| match source {
        SourceConfig::Table { table } => Some(table),
        _ => None,
    });
    let queues = match ready {
        true => waiting(store.as_ref(), queues).await?,
        false => queues,
    };
    let consumed = Consumed::of(config, tables_of_other_partitions(places));
    let unconsumed = match ready {
        true => unconsumed(store.reader().as_ref(), &consumed).await?,
        false => Vec::new(),
    };
    let tables = inspected.tables.into_iter();
    Ok(Found {
        reached: true,
        problem,
        note: (!inspected.exists).then(|| "not there yet, made by the first start".to_owned()),
        version: Some(inspected.version).filter(|version| !version.is_empty()),
        size_bytes: inspected.size_bytes,
        pending_migrations: Some(inspected.pending),
        tables: Some(
            tables
                .map(|(name, rows)| FoundTable { name, rows })
                .collect(),
        ),
        queues,
        unconsumed,
        ..found
    })
}

async fn waiting(store: &dyn Store, queues: Vec<FoundQueue>) -> Result<Vec<FoundQueue>, DbError> {
    let asked = queues
        .iter()
        .map(|queue| (queue.source.clone(), COUNT_CAP + 1));
    let lags = store.reader().queue_lags(asked.collect()).await?;
    let counted = queues.into_iter().zip(lags).map(|(queue, lag)| FoundQueue {
        waiting: Some(lag),
        ..queue
    });
    Ok(counted.collect())
}
