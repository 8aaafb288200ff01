//! A member of a consumer group that is kafka-go's, the client of the Go project: a program of our own, built by Go with
//! the module that its proxy has.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::folder::{made_once, root};
use super::install::program;
use super::kafka::Kafka;

const SOURCE: &str = include_str!("kafka_go/main.go");
const MODULE: &str = include_str!("kafka_go/go.mod");

/// A process; killed when dropped.
pub struct KafkaGo {
    child: Child,
    read: PathBuf,
}

impl KafkaGo {
    /// What it reads is written to this file, and what it complains about beside it. `None`: no Go here, or no module.
    pub fn start(server: &Kafka, topic: &str, group: &str, read: &Path) -> Option<Self> {
        let program = program_of_go()?;
        let child = Command::new(program)
            .args([&*server.brokers(), topic, group])
            .stdin(Stdio::piped())
            .stdout(fs::File::create(read).unwrap())
            .stderr(fs::File::create(read.with_extension("err")).unwrap())
            .spawn()
            .unwrap();
        Some(Self {
            child,
            read: read.to_owned(),
        })
    }

    /// Partition, offset and value of each record, in the order in which they came.
    pub fn read(&self) -> Vec<(i32, i64, String)> {
        let text = fs::read_to_string(&self.read).unwrap();
        let record = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap();
            (
                word().parse().unwrap(),
                word().parse().unwrap(),
                word().to_owned(),
            )
        };
        text.lines().map(record).collect()
    }

    /// Leaves the group, and ends.
    pub fn leave(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for KafkaGo {
    fn drop(&mut self) {
        // It may have ended already; both then do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Built once for each state of its source.
fn program_of_go() -> Option<PathBuf> {
    let Some(go) = program("go") else {
        return left_out("there is no Go here");
    };
    let mut hasher = DefaultHasher::new();
    (SOURCE, MODULE).hash(&mut hasher);
    let name = format!("kafka-go-{:x}", hasher.finish());
    let mut failed = String::new();
    let folder = made_once(&root(), &name, |folder| {
        fs::create_dir(folder).unwrap();
        let built = Command::new(&go)
            .arg("build")
            .arg("-o")
            .arg(folder)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/kafka_go"))
            .output()
            .unwrap();
        if !built.status.success() {
            failed = String::from_utf8_lossy(&built.stderr).into_owned();
        }
    });
    let program = folder.join("other_member");
    if !program.exists() {
        // Tried again by the next process.
        let _ = fs::remove_dir_all(folder);
        return left_out(&failed);
    }
    Some(program)
}

/// In CI too, unlike servers: no package of a distribution has a Go that is young enough everywhere.
fn left_out(why: &str) -> Option<PathBuf> {
    let line = format!(
        "LEFT OUT: what needs a member of kafka-go: {}\n",
        why.trim()
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}
