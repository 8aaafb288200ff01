//! The configuration: three JSON files of `etc/`, read into types in which a wrong value cannot
//! exist.
//!
//! [`load`] reads all three and answers either with all that the daemon needs to know or with all
//! that is wrong, each fault with its file, line, column and what would be right. [`crate::jsonc`] reads the texts; the
//! readers of the files ([`settings`], [`queue`], [`crontab`]) are tables of keys.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;

mod commands;
mod crontab;
mod elsewhere;
mod environment;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod machine_zone;
mod models;
mod partition;
mod queue;
mod rate;
mod retry;
mod schema;
mod secret;
mod settings;
mod source;
mod without_effect;
mod zone;
mod zone_names;

pub(crate) use self::commands::Commands;
use self::commands::Kind;
pub(crate) use self::crontab::{CronEntry, Misfire, Overlap, longest_params};
pub(crate) use self::elsewhere::tables_of_other_partitions;
pub(crate) use self::environment::StatusBits;
pub use self::environment::{Environment, UnknownEnvironment};
pub(crate) use self::fingerprint::Fingerprint;
use self::machine_zone::MachineZone;
pub(crate) use self::models::{
    ModelDatabase, ModelSettings, is_keyword, load_models, similar_table,
};
pub use self::partition::{BadPartition, Partition};
pub(crate) use self::queue::{BatchLimits, PoolLimits, QueueEntry};
pub(crate) use self::rate::RateLimit;
pub use self::retry::RetryRules;
pub(crate) use self::schema::{File as SchemaFile, Languages as SchemaLanguages};
pub use self::secret::Secret;
use self::settings::ServerNames;
#[cfg(test)]
pub(crate) use self::settings::alert_rules_of;
pub use self::settings::{
    AlertRules, AlertSettings, AlertSeverity, BadBrokers, BadDatabaseUrl, Brokers, CronRule,
    DatabaseSettings, DatabaseUrl, DelayedSettings, DiskRule, EventRule, HttpSettings,
    KafkaSettings, LagRule, LateRule, LoggerSettings, OutageRule, Ping, RedisSettings, RestartRule,
    Settings, Webhook, WebhookAuth, WebhookKind,
};
pub(crate) use self::settings::{HAS_OIDC, HAS_TLS, SentinelAddress, json_key, kafka_clients};
pub(crate) use self::source::{REPLAY_PREFIX, SourceConfig};
pub(crate) use self::zone_names::{canonical, links_to};
pub(crate) use crate::jsonc::duration::{parse as parse_duration, show as show_duration};
use crate::jsonc::fault::FileFaults;
pub use crate::jsonc::fault::{Fault, Report};
use crate::jsonc::interpolate::Lookup;
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::{file, quote, suggest, tree};

/// Which files are read.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The directory.
    pub(crate) etc: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) partition: Partition,
}

impl Places {
    pub(crate) fn settings(&self) -> PathBuf {
        self.etc.join(format!("{}.json", self.environment))
    }

    pub(crate) fn queues(&self) -> PathBuf {
        self.etc.join(format!("queue_{}.json", self.partition))
    }

    pub(crate) fn crontab(&self) -> PathBuf {
        self.etc.join(format!("crontab_{}.json", self.partition))
    }
}

/// All that the files say, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) environment: Environment,
    pub(crate) partition: Partition,
    pub(crate) settings: Settings,
    pub(crate) queues: Vec<QueueEntry>,
    pub(crate) crontab: Vec<CronEntry>,
    /// What is no fault and yet worth a line at the start.
    pub(crate) notes: Vec<String>,
}

impl Config {
    /// The queue entries that are consumed.
    pub(crate) fn live_queues(&self) -> impl Iterator<Item = &QueueEntry> {
        self.queues.iter().filter(|entry| entry.live)
    }

    /// The Redis servers that the settings name, or that live entries use; the default that nobody needs is none.
    pub(crate) fn used_redis(&self) -> impl Iterator<Item = &String> {
        let named = self.settings.named_servers().redis;
        let of_live = |name: &String| {
            let mut live = self.live_queues();
            live.any(|entry| matches!(&entry.source, SourceConfig::Redis { server, .. } if server == name))
        };
        let names = self.settings.redis.keys();
        names.filter(move |name| named || of_live(name))
    }

    /// Why each entry that is not live is not: queues, then crontab, in the order of the files.
    pub(crate) fn why_not_live(&self) -> Vec<String> {
        let queues = self.queues.iter().filter(|entry| !entry.live);
        let crontab = self.crontab.iter().filter(|entry| !entry.live);
        queues
            .map(|entry| entry.why_not_live(self.environment))
            .chain(crontab.map(|entry| entry.why_not_live(self.environment)))
            .collect()
    }
}

/// Reads the configuration.
///
/// # Errors
///
/// All faults of all files, when there is one; nothing may be started then.
pub(crate) fn load(places: &Places, commands: &Commands) -> Result<Config, Report> {
    load_with(places, commands, &|name| env::var(name).ok())
}

/// Reads what a cron run needs: all but the crontab. The daemon that started the run has checked that, and a thousand
/// entries take ten times as long as all else that happens before the handler.
///
/// # Errors
///
/// All faults of the other files.
pub(crate) fn load_for_run(places: &Places, commands: &Commands) -> Result<Config, Report> {
    let crontab = places.crontab();
    let text = |path: &Path, empty: &str| match path == crontab {
        true => Ok("[]".to_owned()),
        false => file::read(path, || format!("{empty}{}", others(path))),
    };
    load_texts(places, commands, &|name| env::var(name).ok(), &text)
}

/// Reads the settings alone, for callers that only need to know where things are.
///
/// # Errors
///
/// All faults of that file.
pub(crate) fn load_settings(places: &Places, commands: &Commands) -> Result<Config, Report> {
    let entries = [places.crontab(), places.queues()];
    let text = |path: &Path, empty: &str| match entries.iter().any(|entries| path == entries) {
        true => Ok("[]".to_owned()),
        false => file::read(path, || format!("{empty}{}", others(path))),
    };
    load_texts(places, commands, &|name| env::var(name).ok(), &text)
}

fn load_with(
    places: &Places,
    commands: &Commands,
    environment: Lookup<'_>,
) -> Result<Config, Report> {
    if let Some(fault) = no_directory(&places.etc) {
        return Err(fault.into());
    }
    let text = |path: &Path, empty: &str| file::read(path, || format!("{empty}{}", others(path)));
    load_texts(places, commands, environment, &text)
}

/// A file's text, or why there is none; the second argument is what to write into it.
type TextOf<'a> = &'a dyn Fn(&Path, &str) -> Result<String, Fault>;

fn load_texts(
    places: &Places,
    commands: &Commands,
    environment: Lookup<'_>,
    text: TextOf<'_>,
) -> Result<Config, Report> {
    let mut reading = Reading {
        environment: places.environment,
        commands,
        lookup: environment,
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let path = places.settings();
    let (settings, of_settings) = reading.file(
        text,
        &path,
        "write `{}` into it for the defaults",
        |root, reading| {
            reading.servers = Some(ServerNames::read(&path.display().to_string(), root));
            Settings::read(root, reading)
        },
    );
    let empty = "write `[]` into it for none";
    let (queues, of_queues) = reading.file(text, &places.queues(), empty, |root, reading| {
        Some(queue::read(root, reading))
    });
    let (crontab, of_crontab) = reading.file(text, &places.crontab(), empty, |root, reading| {
        Some(crontab::read(root, reading))
    });

    if let Some(report) = Report::of([of_settings, of_queues, of_crontab]) {
        return Err(report);
    }
    match (settings, queues, crontab) {
        (Some(settings), Some(queues), Some(crontab)) => Ok(Config {
            environment: places.environment,
            partition: places.partition.clone(),
            settings,
            queues,
            crontab,
            notes: reading.notes,
        }),
        // A value is left out only with a fault: a reader that forgot to say which is refused too.
        _ => {
            let etc = places.etc.display().to_string();
            let fault = Fault::of_file(
                &etc,
                "a value cannot be read; please report it as a fault of ours",
            );
            Err(fault.into())
        }
    }
}

/// Reads a text as the settings of an environment; `name` is shown as its file.
///
/// # Errors
///
/// All faults of it, when there is one.
pub(crate) fn settings_of(name: &str, text: &str) -> Result<Settings, Report> {
    let commands = Commands::default();
    let lookup = |name: &str| env::var(name).ok();
    let mut reading = Reading {
        environment: Environment::default(),
        commands: &commands,
        lookup: &lookup,
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let (settings, faults) = tree::read(name, text, &lookup, "", |root| {
        Settings::read(root, &mut reading)
    });
    if let Some(report) = Report::of([faults]) {
        return Err(report);
    }
    settings
        .flatten()
        .ok_or_else(|| Fault::of_file(name, "cannot be read").into())
}

/// One fault for the directory, instead of one for each file in it.
fn no_directory(etc: &Path) -> Option<Fault> {
    let message = match fs::metadata(etc) {
        Ok(metadata) if metadata.is_dir() => return None,
        Ok(_) => "is no directory".to_owned(),
        Err(error) => format!("cannot be opened: {error}"),
    };
    let right =
        "the directory of the configuration is `etc` below the working directory, or `--etc DIR`";
    Some(Fault::of_file(
        &etc.display().to_string(),
        format!("{message}; {right}"),
    ))
}

/// What the readers of all files share.
struct Reading<'a> {
    environment: Environment,
    commands: &'a Commands,
    lookup: Lookup<'a>,
    /// `None` where the settings cannot be read: then every server may be right.
    servers: Option<ServerNames>,
    machine_zone: Option<Result<Tz, String>>,
    notes: Vec<String>,
}

impl Reading<'_> {
    /// Reads one file; `empty` is what to write into one that has nothing to say.
    fn file<T>(
        &mut self,
        text: TextOf<'_>,
        path: &Path,
        empty: &str,
        read: impl FnOnce(&Node<'_>, &mut Self) -> Option<T>,
    ) -> (Option<T>, FileFaults) {
        let text = match text(path, empty) {
            Ok(text) => text,
            Err(fault) => return (None, fault.into()),
        };
        let name = path.display().to_string();
        let lookup = self.lookup;
        let (value, faults) = tree::read(&name, &text, lookup, empty, |root| read(root, self));
        (value.flatten(), faults)
    }

    /// An unknown command is a fault of live entries, and worth a note for the others.
    fn check_command(
        &mut self,
        o: &Object<'_, '_>,
        kind: Kind,
        command: &str,
        status: StatusBits,
        name: Option<&str>,
    ) {
        let node = o.place_of("exec_cmd");
        if let Some(message) = self.commands.missing(kind, command, node.shown(command)) {
            self.fault_or_note(&node, status, name, message);
        }
    }

    fn fault_or_note(
        &mut self,
        node: &Node<'_>,
        status: StatusBits,
        name: Option<&str>,
        message: String,
    ) {
        if status.contains(self.environment) {
            node.fault(message);
        } else {
            let name = quote::name(name.unwrap_or_default());
            self.notes.push(format!("{name}, not live here: {message}"));
        }
    }

    /// The machine's zone, for an entry that names none.
    fn machine_zone(&mut self, entry: &Node<'_>) -> Option<Tz> {
        let lookup = self.lookup;
        let notes = &mut self.notes;
        let zone = self.machine_zone.get_or_insert_with(|| {
            let MachineZone { zone, note } = machine_zone::of_machine(lookup)?;
            notes.extend(note);
            Ok(zone)
        });
        zone.as_ref()
            .map_err(|message| entry.fault(message.as_str()))
            .ok()
            .copied()
    }
}

/// The JSON files that there are beside a missing one: the wanted one may be among them.
fn others(missing: &Path) -> String {
    /// A directory that holds more is no `etc`.
    const LISTED: usize = 12;
    let Some(Ok(files)) = missing.parent().map(fs::read_dir) else {
        return String::new();
    };
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names.truncate(LISTED);
    let options = "`--env`, `--partition` and `--etc` choose others";
    match names.len() {
        0 => format!("; the directory has no JSON file at all; {options}"),
        _ => format!(
            "; the directory has {}; {options}",
            quote::names(names.iter().map(String::as_str))
        ),
    }
}

#[cfg(test)]
mod tests;

/// The end of a message about a name that is not among those known.
pub(crate) fn did_you_mean(found: &str, known: &BTreeSet<String>) -> String {
    suggest::hint(found, "registered are", known.iter().map(String::as_str))
}

/// As `did_you_mean`, for names that are registered nowhere and were only met.
pub(crate) fn did_you_mean_met(found: &str, met: &BTreeSet<String>) -> String {
    match met.is_empty() {
        true => String::new(),
        false => suggest::hint(found, "there are", met.iter().map(String::as_str)),
    }
}
