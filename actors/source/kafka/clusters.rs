//! The clusters of the settings, by their names: addresses, producers, and clusters inside this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::FutureProducer;

use crate::config::{Brokers, KafkaSettings, kafka_clients};

/// Whether a cluster inside this process can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The daemon, which consumes from it.
    Daemon,
    /// Another process, which cannot reach the daemon's cluster.
    Elsewhere,
}

/// Why there is no client of a cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The settings have no cluster of this name.
    #[error("the settings have no `kafka.{0}`; they have {1}")]
    Unknown(String, String),
    /// The cluster is inside another process.
    #[error(
        "`kafka.{0}` is `{1}`, a cluster inside the daemon's process, which only that process reaches; from a handler `ctx.send` and `ctx.kafka` do"
    )]
    Inside(String, String),
    /// A cluster inside this process could not be made.
    #[error("no cluster inside this process: {0}")]
    Mock(String),
    /// librdkafka did not make the client.
    #[error("`kafka.{0}` makes no client")]
    Client(String, #[source] KafkaError),
}

/// See the module's header.
pub(crate) struct Clusters {
    settings: BTreeMap<String, KafkaSettings>,
    inside: Inside,
    mocks: Mutex<HashMap<String, Mock>>,
    producers: Mutex<HashMap<String, FutureProducer>>,
}

struct Mock {
    addresses: String,
    /// Dropping this ends the cluster.
    _life: mpsc::Sender<()>,
}

impl Clusters {
    pub(crate) fn new(settings: &BTreeMap<String, KafkaSettings>, inside: Inside) -> Self {
        Self {
            settings: settings.clone(),
            inside,
            mocks: Mutex::default(),
            producers: Mutex::default(),
        }
    }

    pub(super) fn settings(&self, name: &str) -> Result<&KafkaSettings, ClusterError> {
        self.settings.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.settings.keys().map(String::as_str).collect();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            ClusterError::Unknown(name.to_owned(), known)
        })
    }

    /// The settings of every client of this cluster.
    pub(super) fn config(&self, name: &str) -> Result<ClientConfig, ClusterError> {
        let settings = self.settings(name)?;
        let mut config = ClientConfig::new();
        match &settings.brokers {
            Brokers::Servers(servers) => config.set("bootstrap.servers", servers),
            Brokers::Mock(brokers) => {
                if self.inside == Inside::Elsewhere {
                    let brokers = settings.brokers.to_string();
                    return Err(ClusterError::Inside(name.to_owned(), brokers));
                }
                let addresses = self.mock(name, i32::from(brokers.get()))?;
                config.set("bootstrap.servers", addresses);
                // No other program could make its topics.
                config.set("allow.auto.create.topics", "true")
            }
        };
        for (name, value) in &settings.properties {
            config.set(name, value.expose());
        }
        Ok(config)
    }

    /// The cluster of this name inside this process. It lives as long as the process.
    fn mock(&self, name: &str, brokers: i32) -> Result<String, ClusterError> {
        let mut mocks = self.mocks.lock();
        if let Some(mock) = mocks.get(name) {
            return Ok(mock.addresses.clone());
        }
        // The cluster cannot be sent to another thread, so it has a thread of its own.
        let (sender, receiver) = mpsc::channel();
        let (life, alive) = mpsc::channel::<()>();
        let keep = move || {
            let cluster = MockCluster::new(brokers);
            let addresses = cluster.as_ref().map(MockCluster::bootstrap_servers);
            let _ = sender.send(addresses.map_err(ToString::to_string));
            let _ = alive.recv();
        };
        std::thread::Builder::new()
            .name("kafka-mock".to_owned())
            .spawn(keep)
            .map_err(|cause| ClusterError::Mock(cause.to_string()))?;
        let addresses = receiver
            .recv()
            .unwrap_or_else(|cause| Err(cause.to_string()));
        let addresses = addresses.map_err(ClusterError::Mock)?;
        let mock = Mock {
            addresses: addresses.clone(),
            _life: life,
        };
        mocks.insert(name.to_owned(), mock);
        Ok(addresses)
    }

    /// The producer for the cluster of this name.
    pub(crate) fn producer(&self, name: &str) -> Result<FutureProducer, ClusterError> {
        let config = self.producer_config(name)?;
        let mut producers = self.producers.lock();
        if let Some(producer) = producers.get(name) {
            return Ok(producer.clone());
        }
        let made = config.create();
        let producer: FutureProducer =
            made.map_err(|cause| ClusterError::Client(name.to_owned(), cause))?;
        producers.insert(name.to_owned(), producer.clone());
        Ok(producer)
    }

    fn producer_config(&self, name: &str) -> Result<ClientConfig, ClusterError> {
        let properties = &self.settings(name)?.properties;
        Ok(kafka_clients::producer(self.config(name)?, properties))
    }

    /// The settings of a member of a group.
    pub(crate) fn member_config(
        &self,
        name: &str,
        group: &str,
    ) -> Result<ClientConfig, ClusterError> {
        let properties = &self.settings(name)?.properties;
        Ok(kafka_clients::member(self.config(name)?, properties, group))
    }
}
