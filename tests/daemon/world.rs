//! A test's own world: a directory with `etc/`, the database, the ledger, and the daemons that run in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;
use crate::engine::{Engine, OwnServer};
use crate::ledger::Ledger;
use crate::process::{Daemon, signal_pid};
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_for};

/// Rows that are inserted by one statement.
const ROWS_AT_ONCE: usize = 1000;

/// See the module's header. Whatever still runs in the directory is ended with it.
pub struct World {
    dir: TempDir,
    pub engine: Engine,
    /// As in the settings.
    url: String,
    started: AtomicU32,
}

impl World {
    /// With these settings, on SQLite, and partition `script1` without queues and cron entries.
    pub fn new(settings: Value) -> Self {
        Self::on(Engine::Sqlite, settings).unwrap()
    }

    /// As [`World::new`], with a database of its own on the server of all tests. `None`: that is not installed.
    pub fn on(engine: Engine, settings: Value) -> Option<Self> {
        Some(Self::at(engine, engine.database()?, settings))
    }

    /// As [`World::new`], with the database that has this URL.
    pub fn at(engine: Engine, url: String, settings: Value) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            engine,
            url,
            started: AtomicU32::new(0),
        };
        fs::create_dir(world.path("etc")).unwrap();
        world.settings(settings);
        world.partition("script1", &json!([]), &json!([]));
        world
    }

    /// With a database server of its own, and the queue of `table_queue`. `None`: the server is not installed.
    pub fn on_own_server(engine: Engine, settings: Value) -> Option<(Self, OwnServer)> {
        let server = OwnServer::of(engine)?;
        let world = Self::at(engine, server.database(), settings);
        world.partition("script1", &Self::table_queue(), &json!([]));
        Some((world, server))
    }

    /// One queue, `work`, whose messages are tried once.
    pub fn table_queue() -> Value {
        json!([{
            "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4, "max_attempts": 1,
            "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
        }])
    }

    /// Writes the settings: what a test gives, beside what holds for every world.
    pub fn settings(&self, given: Value) {
        let mut settings = json!({
            "database": { "url": self.url },
            "workers": 2,
            // Many daemons run beside each other; the socket is there all the same.
            "http": { "listen": null },
            // Many tests count the lines of an outage; that it is an alert too is `own_alerts`' business.
            "alert": { "rules": { "outages": false } },
        });
        let Value::Object(given) = given else {
            panic!("settings are an object: {given}");
        };
        settings.as_object_mut().unwrap().extend(given);
        // A test must not depend on how full the machine's disk is.
        let alert = settings["alert"].as_object_mut().unwrap();
        let rules = alert.entry("rules").or_insert_with(|| json!({}));
        let rules = rules.as_object_mut().unwrap();
        rules.entry("disk").or_insert(json!(false));
        self.etc("dev.json", &settings);
    }

    /// The address of its database, as in the settings.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The queues and cron entries of a partition.
    pub fn partition(&self, name: &str, queues: &Value, crontab: &Value) {
        self.etc(&format!("queue_{name}.json"), queues);
        self.etc(&format!("crontab_{name}.json"), crontab);
    }

    pub fn etc(&self, file: &str, content: &Value) {
        self.etc_text(file, &content.to_string());
    }

    pub fn etc_text(&self, file: &str, content: &str) {
        fs::write(self.path("etc").join(file), content).unwrap();
    }

    /// A file in its directory.
    pub fn write(&self, file: &str, content: &Value) {
        fs::write(self.path(file), content.to_string()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The ledger program, as it would be started in this world's directory.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(&ledger_program(), args)
    }

    /// Any program of ours.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("LEDGER", self.path("ledger"));
        for name in [
            "SCRIPT_ENV",
            "SCRIPT_ETC",
            "SCRIPT_PARTITION",
            "RUST_BACKTRACE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// A command that ends by itself.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        receiver.recv_timeout(PATIENCE).map_or_else(
            |_| {
                signal_pid(pid, Signal::KILL);
                panic!(
                    "{args:?} did not end within {PATIENCE:?}: {:?}",
                    receiver.recv()
                );
            },
            Result::unwrap,
        )
    }

    /// A command that must succeed; its standard output.
    #[track_caller]
    pub fn output(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{args:?}: {}: {text}",
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Messages to a queue, by `send QUEUE -`.
    #[track_caller]
    pub fn send<'a>(&self, queue: &str, bodies: impl IntoIterator<Item = &'a String>) {
        let mut child = self
            .command(&["send", queue, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines: String = bodies.into_iter().map(|body| format!("{body}\n")).collect();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(lines.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// The daemon of partition `script1`, ready.
    #[track_caller]
    pub fn start(&self) -> Daemon {
        self.start_as("script1")
    }

    /// The daemon of a partition, ready.
    #[track_caller]
    pub fn start_as(&self, partition: &str) -> Daemon {
        let mut daemon = self.spawn(&["--partition", partition, "run"]);
        daemon.wait_ready();
        daemon
    }

    /// A daemon that need not become ready.
    pub fn spawn(&self, args: &[&str]) -> Daemon {
        self.spawn_command(self.command(args))
    }

    /// As [`World::spawn`], behind another program that starts it.
    pub fn spawn_in(&self, wrapper: &[&str], args: &[&str]) -> Daemon {
        let ledger = ledger_program();
        let inner = [ledger.to_str().unwrap()];
        let words: Vec<&str> = [&wrapper[1..], &inner, args].concat();
        self.spawn_command(self.command_of(Path::new(wrapper[0]), &words))
    }

    pub fn spawn_command(&self, command: Command) -> Daemon {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let stderr = self.path(&format!("daemon-{number}.err"));
        Daemon::spawn(command, &stderr)
    }

    /// The output of all daemons so far.
    pub fn all_logs(&self) -> String {
        let number = 1..=self.started.load(Ordering::Relaxed);
        let read = |number| fs::read(self.path(&format!("daemon-{number}.err"))).unwrap();
        let logs = number.map(|number| String::from_utf8_lossy(&read(number)).into_owned());
        logs.collect()
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::read(&self.path("ledger"))
    }

    /// How many lines the ledger has; cheaper than reading them.
    pub fn ledger_len(&self) -> usize {
        let bytes = fs::read(self.path("ledger")).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Whether this machine lets us do so. Where it does not the test is left out, which is printed; CI leaves nothing
    /// out.
    pub fn can(&self, command: &[&str]) -> bool {
        let mut tried = self.command_of(Path::new(command[0]), &command[1..]);
        let works = tried.status().is_ok_and(|status| status.success());
        if !works {
            assert!(
                std::env::var_os("CI").is_none(),
                "{command:?} does not work"
            );
            println!("LEFT OUT: {command:?} does not work here");
        }
        works
    }

    /// What stands in the files of runs.
    pub fn run_files(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("data/runs")).unwrap();
        let read = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap_or_default();
        files.map(|entry| read(entry.unwrap())).collect()
    }

    /// Without links in it.
    pub fn real_path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.path(name)).unwrap()
    }

    /// The database, as any other program would open it. It must exist.
    #[track_caller]
    pub fn database(&self) -> Database {
        self.try_database().unwrap_or_else(|e| panic!("{e}"))
    }

    /// A SQLite file other than the world's own.
    pub fn database_at(&self, path: &Path) -> Database {
        assert!(path.exists(), "there is no database yet");
        Database::open(&format!("sqlite://{}", path.display())).unwrap()
    }

    /// As [`World::database`], where it may be away.
    pub fn try_database(&self) -> Result<Database, String> {
        let Some(path) = self.url.strip_prefix("sqlite://") else {
            return Database::open(&self.url);
        };
        let path = self.path(path);
        // It would be made else.
        assert!(path.exists(), "there is no database yet");
        Database::open(&format!("sqlite://{}", path.display()))
    }

    /// The tables, before any daemon ran.
    #[track_caller]
    pub fn migrate(&self) -> Database {
        self.output(&["migrate"]);
        self.database()
    }

    /// Delayed tasks as another program inserts them: (params, unix second).
    #[track_caller]
    pub fn insert_tasks(&self, tasks: &[(String, i64)]) {
        let mut database = self.database();
        for portion in tasks.chunks(ROWS_AT_ONCE) {
            let rows = portion
                .iter()
                .map(|(params, at)| format!("('foreign', 'ledger', '{params}', 1, {at})"));
            let rows = rows.collect::<Vec<_>>().join(", ");
            database.execute(&format!(
                "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES {rows}"
            ));
        }
    }

    /// Waits until no message and no delayed task is left to be done.
    #[track_caller]
    pub fn wait_drained(&self) {
        let mut database = self.database();
        wait_for("all work to be done", LONG_PATIENCE, || {
            let left = "SELECT (SELECT count(*) FROM queue_message)
                + (SELECT count(*) FROM delay_queue_log WHERE status IN (1, 2)) AS n";
            (database.number(left) == 0).then_some(())
        });
    }

    /// The dead letters, as `dead list --json` shows them, without what other tests left unconsumed on a server of all.
    #[track_caller]
    pub fn dead_letters(&self) -> Vec<Value> {
        let text = self.output(&["dead", "list", "--json", "--limit", "1000"]);
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["kind"] != "unconsumed")
            .collect()
    }

    /// Processes that run in this world's directory: daemons, and what they started.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let root = fs::canonicalize(self.dir.path()).unwrap();
        let pid = |entry: fs::DirEntry| -> Option<u32> {
            let here = fs::read_link(entry.path().join("cwd"))
                .ok()?
                .starts_with(&root);
            here.then(|| entry.file_name().to_str()?.parse().ok())?
        };
        entries.filter_map(|entry| pid(entry.ok()?)).collect()
    }

    /// Nothing runs any more: what a daemon starts ends by itself.
    #[track_caller]
    pub fn wait_empty(&self) {
        wait_for("all processes to end", PATIENCE, || {
            self.processes().is_empty().then_some(())
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for pid in self.processes() {
            if fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
                signal_pid(pid, Signal::KILL);
            }
        }
    }
}

pub fn ledger_program() -> PathBuf {
    example("ledger")
}

/// Beside this test's own binary: `cargo test` builds examples. `cargo test --test daemon` alone does not.
pub fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(name);
    let built = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let library = built(&profile.join("libsimplest_script.rlib"));
    let is_current = built(&program).is_some_and(|at| library.is_none_or(|library| at >= library));
    assert!(
        is_current,
        "`{}` is not up to date: `cargo build --example {name}`",
        program.display()
    );
    program
}
