//! The connections that handlers ask for, made at the first use.
//!
//! They are opened on the System's runtime, where no business code runs: a handler that blocks its worker while a
//! connection is being opened there would hold up every handler that waits for one.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::producer::FutureProducer;
use tokio::runtime::Handle;

use super::context::{Database, Pooled};
use super::redis_pools::{PooledRedis, RedisPools};
use crate::config::Settings;
use crate::delay_queue::{DelayQueueHandle, Pushable};
use crate::job::BoxError;
use crate::source::{Clusters, Sender};
use crate::stop::StopSignal;

/// See the module's header.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) delay_queue: DelayQueueHandle,
    pub(crate) sender: Sender,
    pub(crate) stop: StopSignal,
    /// The delayed tasks that may be pushed.
    pub(crate) pushable: Pushable,
    /// The System's runtime.
    pub(crate) home: Handle,
    databases: Mutex<HashMap<(String, TypeId), Box<dyn Any + Send>>>,
    redis: RedisPools,
    clusters: Arc<Clusters>,
}

impl Services {
    /// To be called on the System's thread.
    pub(crate) fn new(
        settings: Settings,
        delay_queue: DelayQueueHandle,
        sender: Sender,
        clusters: Arc<Clusters>,
        stop: StopSignal,
        pushable: Pushable,
    ) -> Self {
        Self {
            sender,
            settings,
            delay_queue,
            stop,
            pushable,
            home: Handle::current(),
            databases: Mutex::default(),
            redis: RedisPools::default(),
            clusters,
        }
    }

    pub(crate) async fn database<C: Database>(&self, name: &str) -> Result<Pooled<C>, BoxError> {
        let pool = self.database_pool::<C>(name)?;
        let connection = self
            .home
            .spawn(async move { pool.get_owned().await })
            .await?;
        connection.map_err(|cause| format!("database `{name}`: {cause:?}").into())
    }

    fn database_pool<C: Database>(&self, name: &str) -> Result<bb8::Pool<C::Manager>, BoxError> {
        let settings = self
            .settings
            .databases
            .get(name)
            .ok_or_else(|| missing("databases", name, self.settings.databases.keys()))?;
        let mut pools = self.databases.lock();
        let key = (name.to_owned(), TypeId::of::<C>());
        if let Some(pool) = pools
            .get(&key)
            .and_then(|pool| pool.downcast_ref::<bb8::Pool<_>>())
        {
            return Ok(pool.clone());
        }
        let manager = C::manager(&settings.url).ok_or_else(|| {
            format!(
                "database `{name}` is {}, which is not what this connection speaks",
                settings.url.redacted()
            )
        })?;
        let pool = bb8::Pool::builder()
            .max_size(settings.max_connections.get())
            .build_unchecked(manager);
        pools.insert(key, Box::new(pool.clone()));
        Ok(pool)
    }

    pub(crate) async fn redis(&self, name: &str) -> Result<PooledRedis, BoxError> {
        let settings = self.settings.redis.get(name);
        let settings =
            settings.ok_or_else(|| missing("redis", name, self.settings.redis.keys()))?;
        let pool = self.redis.get(name, settings)?;
        let connection = self
            .home
            .spawn(async move { pool.connection().await })
            .await?;
        connection.map_err(|cause| format!("redis `{name}`: {cause}").into())
    }

    pub(crate) fn kafka(&self, name: &str) -> Result<FutureProducer, BoxError> {
        Ok(self.clusters.producer(name)?)
    }
}

fn missing<'a>(key: &str, name: &str, known: impl Iterator<Item = &'a String>) -> BoxError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    format!(
        "the settings have no `{key}.{name}`; they have {}",
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    )
    .into()
}
