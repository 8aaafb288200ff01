//! The source against a real server.

mod away;
mod dead;
mod ending;
mod equal;
mod older;
mod slow;
mod stored;
mod taking;

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{AsyncConnectionConfig, Client, FromRedisValue, ToRedisArgs, Value, cmd};
use tokio::time::Instant;

use super::pollers::Who;
use super::{RedisQueue, RedisSource, Server, scripts};
use crate::backoff::Backoff;
use crate::config::{RedisSettings, RetryRules, Secret};
use crate::job::Disposition;
use crate::servers::redis::{self, Redis};
use crate::servers::way::Way;
use crate::source::{Delivery, Fetcher, Settled, Source, Streams};
use crate::stop::StopSignal;
use crate::store::rows::EntryName;
use crate::testing_support::TestDb;

/// For what takes a moment, on a machine that compiles something else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Messages of a list have no order to keep.
const ME: Fetcher = Fetcher {
    consumer: 1,
    streams: Streams::Many,
    bytes: u32::MAX,
};
/// Short, so that a silent boot is found dead soon.
const INTERVAL: Duration = Duration::from_millis(300);

/// A list of one's own, and a database for dead letters.
struct World {
    url: String,
    key: String,
    db: TestDb,
    producer: MultiplexedConnection,
}

impl World {
    /// On the server that all tests share. None where none is installed.
    async fn shared() -> Option<Self> {
        let server = redis::shared()?;
        Some(Self::on(server.url(), server.key()).await)
    }

    async fn on(url: String, key: String) -> Self {
        let client = Client::open(url.as_str()).unwrap();
        // However long it takes on this machine.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let producer = client.get_multiplexed_async_connection_with_config(&patient);
        let producer = producer.await.unwrap();
        Self {
            url,
            key,
            db: TestDb::start(),
            producer,
        }
    }

    /// A server of one's own, with these settings.
    async fn dedicated() -> Option<(Redis, Self)> {
        let server = Redis::dedicated()?;
        let world = Self::on(server.url(), "list".to_owned()).await;
        Some((server, world))
    }

    /// As a daemon knows it.
    fn server(&self) -> Arc<Server> {
        let settings = RedisSettings {
            url: Secret::new(self.url.as_str()),
        };
        Server::new("default", &settings).unwrap()
    }

    /// A daemon's source, of a boot of its own.
    fn source(&self) -> Arc<RedisSource> {
        self.source_of(&uuid::Uuid::new_v4().simple().to_string())
    }

    fn source_of(&self, boot: &str) -> Arc<RedisSource> {
        self.source_beating(boot, INTERVAL)
    }

    fn source_beating(&self, boot: &str, heartbeat_interval: Duration) -> Arc<RedisSource> {
        self.source_with(self.server(), &self.key, boot, heartbeat_interval)
    }

    /// Of a server that others share.
    fn source_on(&self, server: &Arc<Server>, key: &str, boot: &str) -> Arc<RedisSource> {
        self.source_with(Arc::clone(server), key, boot, INTERVAL)
    }

    fn source_with(
        &self,
        server: Arc<Server>,
        key: &str,
        boot: &str,
        heartbeat_interval: Duration,
    ) -> Arc<RedisSource> {
        let source = RedisSource::new(RedisQueue {
            server,
            server_name: "default".to_owned(),
            key: key.to_owned(),
            entry: EntryName {
                name: "work".to_owned(),
                exec_cmd: "ledger".to_owned(),
            },
            rules: RetryRules {
                backoff: Backoff {
                    base: Duration::from_millis(200),
                    max: Duration::from_millis(200),
                },
                ..RetryRules::default()
            },
            db: self.db.db.clone(),
            partition: "script1".to_owned(),
            boot: boot.to_owned(),
            heartbeat_interval,
        });
        source.open();
        source
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut producer = self.producer.clone();
        let command = cmd(words[0]).arg(&words[1..]).to_owned();
        command.query_async(&mut producer).await.unwrap()
    }

    async fn push(&self, bodies: impl IntoIterator<Item = impl ToRedisArgs>) {
        let mut producer = self.producer.clone();
        let mut push = cmd("LPUSH");
        push.arg(&self.key);
        bodies.into_iter().for_each(|body| {
            push.arg(body);
        });
        let _: u64 = push.query_async(&mut producer).await.unwrap();
    }

    /// A question of this boot, with its number and the most it may take, that reaches the server and whose answer is
    /// never read.
    async fn take_unread(&self, boot: &str, (number, most): (u64, u32), turn: &str) {
        let mut question = scripts::TAKE.key(self.key.as_str());
        question.arg(boot).arg(number).arg(most);
        question.arg("first").arg(turn).arg(u32::MAX).arg(0);
        let mut producer = self.producer.clone();
        let _: Value = question.invoke_async(&mut producer).await.unwrap();
    }

    /// What waits, the oldest first.
    async fn waiting(&self) -> Vec<String> {
        let mut waiting: Vec<String> = self.ask(&["LRANGE", &self.key, "0", "-1"]).await;
        waiting.reverse();
        waiting
    }

    fn ours(&self, name: &str) -> String {
        scripts::key(&self.key, name)
    }

    /// The names of our keys beside the list.
    async fn beside(&self) -> Vec<String> {
        let prefix = self.ours("");
        let keys: Vec<String> = self.ask(&["KEYS", &format!("{prefix}*")]).await;
        let mut names: Vec<String> = keys
            .iter()
            .map(|key| key[prefix.len()..].to_owned())
            .collect();
        names.sort();
        names
    }
}

/// What a fetch finds; it must come.
async fn fetch(source: &RedisSource, max: u32) -> Vec<Delivery> {
    let stop = StopSignal::new();
    let mut listener = stop.listen();
    let fetched = source.fetch(ME, max, &mut listener);
    tokio::time::timeout(PATIENCE, fetched)
        .await
        .expect("nothing came")
        .unwrap()
        .collect()
}

/// Fetches until `n` messages have come.
async fn fetch_all(source: &RedisSource, n: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < n {
        all.extend(fetch(source, 100).await);
    }
    all
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let body =
        |delivery: &Delivery| String::from_utf8_lossy(&delivery.message.payload).into_owned();
    deliveries.iter().map(body).collect()
}

async fn settle(source: &RedisSource, deliveries: &[Delivery], disposition: Disposition) {
    let ends = deliveries.iter().map(|delivery| Settled {
        receipt: delivery.receipt,
        disposition: disposition.clone(),
    });
    source.settle(ends.collect()).await.unwrap();
}

/// Polls until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut poll: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !poll().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn until_lag(source: &RedisSource, lag: u64) {
    until(&format!("a lag of {lag}"), || async {
        source.lag().await.is_ok_and(|is| is == lag)
    })
    .await;
}
