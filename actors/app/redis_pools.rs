//! Connections to Redis for handlers, by the name of the server.
//!
//! Where Sentinels know the server there is a pool for the primary of the moment: a connection is given out once its
//! server confirms that it is the primary, and when it does not the Sentinels are asked again, and another pool takes
//! over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bb8::RunError;
use bb8_redis::RedisConnectionManager;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::config::RedisSettings;
use crate::job::BoxError;
use crate::source::{Sentinels, is_primary};

/// The longest that a handler waits for a connection, in a failover too.
const PATIENCE: Duration = Duration::from_secs(30);
/// A primary from which no connection comes in this time may be none any more.
const DOUBT_AFTER: Duration = Duration::from_secs(3);
/// Between two questions to Sentinels that name no primary.
const PAUSE: Duration = Duration::from_millis(200);

type Pool = bb8::Pool<RedisConnectionManager>;
pub(super) type PooledRedis = bb8::PooledConnection<'static, RedisConnectionManager>;

/// See the module's header.
#[derive(Default)]
pub(super) struct RedisPools(Mutex<HashMap<String, RedisPool>>);

#[derive(Clone)]
pub(super) enum RedisPool {
    Server(Pool),
    Primary(Arc<PrimaryPool>),
}

pub(super) struct PrimaryPool {
    sentinels: Sentinels,
    /// Made for the primary that was found with this generation.
    made: tokio::sync::Mutex<Option<(u64, Pool)>>,
}

impl RedisPools {
    /// Made at the first use.
    pub(super) fn get(&self, name: &str, settings: &RedisSettings) -> Result<RedisPool, BoxError> {
        // A pool that was being made when its maker panicked is simply not there.
        let mut pools = self.0.lock();
        if let Some(pool) = pools.get(name) {
            return Ok(pool.clone());
        }
        let pool = match settings.sentinels()? {
            Some(address) => RedisPool::Primary(Arc::new(PrimaryPool {
                sentinels: Sentinels::new(address)?,
                made: tokio::sync::Mutex::default(),
            })),
            None => {
                let manager = RedisConnectionManager::new(settings.url.expose())?;
                RedisPool::Server(Pool::builder().build_unchecked(manager))
            }
        };
        pools.insert(name.to_owned(), pool.clone());
        Ok(pool)
    }
}

impl RedisPool {
    /// To be called on a runtime without business code: connections are opened there.
    pub(super) async fn connection(&self) -> Result<PooledRedis, String> {
        match self {
            Self::Server(pool) => pool.get_owned().await.map_err(|cause| cause.to_string()),
            Self::Primary(pool) => pool.connection().await,
        }
    }
}

impl PrimaryPool {
    async fn connection(&self) -> Result<PooledRedis, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.try_connection().await {
                Ok(connection) => return Ok(connection),
                Err(why) => why,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(why);
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_connection(&self) -> Result<PooledRedis, String> {
        let (generation, pool) = self.pool().await?;
        let mut connection = match pool.get_owned().await {
            Ok(connection) => connection,
            // All are in use.
            Err(RunError::TimedOut) if pool.state().connections > 0 => {
                return Err("all connections are in use".to_owned());
            }
            Err(cause) => {
                self.sentinels.doubt(generation);
                return Err(cause.to_string());
            }
        };
        let why = match is_primary(&mut connection).await {
            Ok(true) => return Ok(connection),
            Ok(false) => "it is no longer the primary".to_owned(),
            Err(cause) => cause.to_string(),
        };
        self.sentinels.doubt(generation);
        Err(why)
    }

    async fn pool(&self) -> Result<(u64, Pool), String> {
        let mut made = self.made.lock().await;
        if let Some((generation, pool)) = &*made
            && *generation == self.sentinels.generation()
        {
            return Ok((*generation, pool.clone()));
        }
        let primary = self.sentinels.primary().await?;
        let info = primary.client.get_connection_info().clone();
        let manager = RedisConnectionManager::new(info).map_err(|cause| cause.to_string())?;
        let pool = Pool::builder()
            .connection_timeout(DOUBT_AFTER)
            .build_unchecked(manager);
        *made = Some((primary.generation, pool.clone()));
        Ok((primary.generation, pool))
    }
}
