//! Apache Kafka: one broker that is its own controller, on the JVM, from Maven Central.
//!
//! A crash of the process loses nothing that was acknowledged: what the broker wrote is the kernel's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::folder::{Folder, root};
use super::install::{output, program};
use super::kafka_secured::{PASSWORD, USER};
use super::port;
use super::server::{Kind, Server};

pub type Kafka = Server<Program>;

/// Where `make setup` puts the broker's jars.
const JARS: &str = "kafka-4.1.1";
/// For what the broker is asked by a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// The one of this test process. `None`: not installed.
///
/// All tests see the same topics and groups: each takes names of its own.
pub fn shared() -> Option<&'static Kafka> {
    static SHARED: OnceLock<Option<Kafka>> = OnceLock::new();
    SHARED.get_or_init(Kafka::dedicated).as_ref()
}

impl Kafka {
    /// One's own, with more settings, one of which is mended when it is started again.
    pub fn mended_later(more: &str, later: &'static str) -> Option<Self> {
        Self::dedicated_as(|kind| Program {
            more: more.to_owned(),
            later: Some(later),
            ..kind
        })
    }

    /// One's own, with a second listener for the daemon, while tests go on with the first one.
    pub fn with_outside(outside: Outside, more: &str) -> Option<Self> {
        Self::dedicated_as(|kind| Program {
            more: more.to_owned(),
            outside: Some(outside),
            ..kind
        })
    }

    /// As [`Kafka::with_outside`], with a user who may come by SCRAM.
    pub fn with_scram(outside: Outside, more: &str) -> Option<Self> {
        Self::dedicated_as(|kind| Program {
            more: more.to_owned(),
            outside: Some(outside),
            scram: Scram::OneUser,
            ..kind
        })
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// A client's settings.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    /// A fresh topic.
    pub fn topic(&self, partitions: i32) -> String {
        let topic = self.fresh_name();
        self.create_topic(&topic, partitions);
        topic
    }

    /// A name that no other test has, of a topic or a group.
    pub fn name(&self) -> String {
        self.fresh_name()
    }

    #[track_caller]
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.create_topic_with(topic, partitions, &[]);
    }

    #[track_caller]
    pub fn create_topic_with(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        self.admin(async |admin, options| {
            let done = admin.create_topics([&new], options).await.unwrap();
            done.into_iter().for_each(|one| drop(one.unwrap()));
        });
    }

    #[track_caller]
    pub fn delete_topic(&self, topic: &str) {
        self.admin(async |admin, options| {
            let done = admin.delete_topics(&[topic], options).await.unwrap();
            done.into_iter().for_each(|one| drop(one.unwrap()));
        });
    }

    /// All records of each of this many partitions.
    #[track_caller]
    pub fn delete_records(&self, topic: &str, partitions: i32) {
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::End)
                .unwrap();
        }
        self.admin(async |admin, options| {
            let done = admin.delete_records(&all, options).await.unwrap();
            let deleted = done.elements();
            deleted.iter().for_each(|one| one.error().unwrap());
        });
    }

    /// A partition loses what it has from this offset on, as by a power cut before the disk had it. While the broker is
    /// down; the offset must be the first one of what a producer sent in one piece.
    #[track_caller]
    pub fn cut_log(&self, topic: &str, partition: i32, at: i64) {
        let segment = format!("data/{topic}-{partition}/{:020}.log", 0);
        let file = self.home().join(segment);
        let log = fs::read(&file).unwrap();
        let mut place = 0;
        loop {
            let head = log.get(place..place + 12);
            let head = head.unwrap_or_else(|| panic!("nothing begins at offset {at}"));
            let first = i64::from_be_bytes(head[..8].try_into().unwrap());
            if first == at {
                break;
            }
            place +=
                12 + usize::try_from(u32::from_be_bytes(head[8..].try_into().unwrap())).unwrap();
        }
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(place.try_into().unwrap()).unwrap();
    }

    /// Afterwards the topic has this number of partitions.
    #[track_caller]
    pub fn add_partitions(&self, topic: &str, partitions: usize) {
        self.admin(async |admin, options| {
            let new = NewPartitions::new(topic, partitions);
            let done = admin.create_partitions([&new], options).await.unwrap();
            done.into_iter().for_each(|one| drop(one.unwrap()));
        });
    }

    /// From a thread of its own: tests that ask may be inside a runtime.
    #[track_caller]
    fn admin(
        &self,
        ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) + Send,
    ) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let options = AdminOptions::new()
            .request_timeout(Some(PATIENCE))
            .operation_timeout(Some(PATIENCE));
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(ask(&admin, &options));
        };
        let asked = std::thread::scope(|scope| scope.spawn(ask).join());
        asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

pub struct Program {
    java: PathBuf,
    jars: PathBuf,
    /// Lines of the broker's settings, which come before the usual ones.
    more: String,
    outside: Option<Outside>,
    /// What is otherwise from the second start on, as `name=value`.
    later: Option<&'static str>,
    started: AtomicBool,
    /// Users of SCRAM are in a broker's data from its first start on.
    scram: Scram,
}

/// Whether [`kafka_secured::USER`](super::kafka_secured::USER) is known to the broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scram {
    NoUser,
    OneUser,
}

/// A listener of the name `OUTSIDE`.
pub struct Outside {
    pub protocol: &'static str,
    /// Where it listens.
    pub address: String,
    /// Its advertised address.
    pub advertised: String,
}

impl Outside {
    /// At a free port.
    pub fn new(protocol: &'static str) -> Self {
        let address = format!("127.0.0.1:{}", port::free());
        Self {
            protocol,
            advertised: address.clone(),
            address,
        }
    }
}

impl Kind for Program {
    const NAME: &'static str = "Kafka";
    const READY: &'static str = "Kafka Server started";

    fn find() -> Option<Self> {
        let java = program("java")?;
        let jars = root().join(JARS);
        jars.is_dir().then(|| Self {
            java,
            jars,
            more: String::new(),
            outside: None,
            later: None,
            started: AtomicBool::new(false),
            scram: Scram::NoUser,
        })
    }

    fn prepare(&self, folder: &Folder, port: u16) {
        let template = match self.scram {
            Scram::NoUser => "data",
            Scram::OneUser => "data-scram",
        };
        let template = format!("{JARS}-{template}");
        folder.copy("data", &template, |data| self.format(data));
        // Of a property that stands twice the last one is taken.
        let usual = settings(
            &folder.path("data"),
            (port, port::free()),
            self.outside.as_ref(),
        );
        let settings = usual + &self.more;
        fs::write(folder.path(SETTINGS), settings).unwrap();
    }

    fn command(&self, folder: &Folder, _port: u16) -> Command {
        let mut command = self.java();
        command.arg("kafka.Kafka").arg(folder.path(SETTINGS));
        let is_again = self.started.swap(true, Ordering::Relaxed);
        if let Some(later) = self.later.filter(|_| is_again) {
            command.args(["--override", later]);
        }
        command
    }
}

impl Program {
    fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        // Small and quick to start.
        command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        let log = "-Dorg.slf4j.simpleLogger";
        command.arg(format!("{log}.defaultLogLevel=warn"));
        command.arg(format!("{log}.log.kafka.server.KafkaRaftServer=info"));
        // Says when a group shares out its partitions.
        command.arg(format!("{log}.log.org.apache.kafka.coordinator.group=info"));
        command.arg("-cp").arg(format!("{}/*", self.jars.display()));
        command
    }

    fn format(&self, data: &Path) {
        let file = data.with_extension("properties");
        fs::write(&file, settings(data, (port::free(), port::free()), None)).unwrap();
        let mut format = self.java();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
        format.arg(file);
        if self.scram == Scram::OneUser {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
                format.args(["--add-scram", &user]);
            }
        }
        output(&mut format);
    }
}

/// 16 bytes in base64.
const CLUSTER: &str = "c2ltcGxlc3Rfc2NyaXB0QQ";
const SETTINGS: &str = "server.properties";

fn settings(data: &Path, (port, controller): (u16, u16), outside: Option<&Outside>) -> String {
    let (mut listens, mut advertised, mut protocol) = Default::default();
    if let Some(outside) = outside {
        listens = format!(",OUTSIDE://{}", outside.address);
        advertised = format!(",OUTSIDE://{}", outside.advertised);
        protocol = format!(",OUTSIDE:{}", outside.protocol);
    }
    let places = format!(
        "log.dirs={}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listens}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocol}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n",
        data.display()
    );
    places + OTHER_SETTINGS
}

/// One broker; internal topics with few partitions, which are loaded one by one; groups that begin at once.
const OTHER_SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
auto.create.topics.enable=false
";
