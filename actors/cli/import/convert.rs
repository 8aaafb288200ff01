//! Which key of the Go project's becomes which of ours, and why the others do not.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::go_file::{GoFile, GoKafka, GoLogger, GoRedis};
use crate::config::{DatabaseUrl, settings_of};

/// Keys at the top that have no counterpart here.
const WITHOUT_COUNTERPART: [(&str, &str); 13] = [
    ("Name", "the program's name is its own"),
    ("Mode", "`--env` or SCRIPT_ENV sets the environment"),
    (
        "Host",
        "`http.listen` is the address to listen at, a local one where it is not given",
    ),
    (
        "Port",
        "`http.listen` is the address to listen at, 127.0.0.1:7100 where it is not given",
    ),
    ("Auth", "nothing here needs it"),
    ("Elastic", "there is no Elasticsearch client here"),
    (
        "Tencent",
        "handlers may have settings of their own, under `app`",
    ),
    ("RabbitMQ", "there is no RabbitMQ client here"),
    (
        "ThirdService",
        "handlers may have settings of their own, under `app`",
    ),
    (
        "Crypto",
        "handlers may have settings of their own, under `app`",
    ),
    ("ExportPath", "there is no `export` job here"),
    (
        "Email",
        "handlers may have settings of their own, under `app`",
    ),
    (
        "Sms",
        "handlers may have settings of their own, under `app`",
    ),
];

/// Keys at the top of which each value is spoken for below.
const READ: [&str; 6] = ["ExecCmd", "Mysql", "Redis", "Kafka", "Logger", "Robot"];

/// What became of a settings file.
#[derive(Debug, Default)]
pub(super) struct Imported {
    sections: Vec<(&'static str, BTreeMap<String, Value>)>,
    exec_cmd: Option<String>,
    /// (the Go project's key, ours)
    pub(super) taken: Vec<(String, String)>,
    /// (the Go project's key, why not)
    pub(super) left: Vec<(String, String)>,
}

impl Imported {
    pub(super) fn of(go: &GoFile) -> Self {
        let mut imported = Self::default();
        imported.databases(go.mysql.as_ref());
        imported.redis(go.redis.as_ref());
        imported.logger(go.logger.as_ref());
        match go.clusters.is_empty() {
            true => imported.kafka("Kafka", "default", go.kafka.as_ref()),
            false => {
                for (name, cluster) in &go.clusters {
                    imported.kafka(&format!("Kafka.{name}"), &snake(name), cluster.as_ref());
                }
            }
        }
        imported.robot(go.robot.as_ref());
        imported.exec_cmd(go.exec_cmd.as_deref());
        for key in go.keys.iter().filter(|key| !READ.contains(&key.as_str())) {
            let known = WITHOUT_COUNTERPART.iter().find(|(name, _)| name == key);
            let why = known.map_or(
                "not a key of the Go project's; settings of your own may stand under `app`",
                |(_, why)| why,
            );
            imported.leave(key, why);
        }
        imported
    }

    fn databases(&mut self, mysql: Option<&BTreeMap<String, Option<String>>>) {
        for (name, dsn) in mysql.into_iter().flatten() {
            let from = format!("Mysql.{name}");
            match dsn.as_deref().unwrap_or_default() {
                "" => self.leave(&from, "it is empty"),
                dsn => match dsn.parse::<DatabaseUrl>() {
                    Ok(DatabaseUrl::Mysql(url)) => {
                        self.take(
                            &from,
                            "databases",
                            &snake(name),
                            json!({ "url": escaped(url.expose()) }),
                        );
                    }
                    Ok(_) => self.leave(&from, "it is no MySQL"),
                    Err(cause) => self.leave(&from, cause),
                },
            }
        }
    }

    fn redis(&mut self, redis: Option<&BTreeMap<String, Option<GoRedis>>>) {
        for (name, server) in redis.into_iter().flatten() {
            let from = format!("Redis.{name}");
            let address = server.as_ref().and_then(redis_url);
            match address {
                Some(url) => self.take(
                    &from,
                    "redis",
                    &snake(name),
                    json!({ "url": escaped(&url) }),
                ),
                None => self.leave(&from, "it has no `Addr`"),
            }
        }
    }

    fn logger(&mut self, logger: Option<&GoLogger>) {
        let Some(logger) = logger else { return };
        if let Some(path) = filled(logger.path.as_ref()) {
            self.take("Logger.Path", "logger", "path", json!(escaped(path)));
        }
        for (from, value, key) in [
            ("Logger.MaxSize", &logger.max_size, "max_size_mb"),
            ("Logger.MaxBackups", &logger.max_backups, "max_backups"),
            ("Logger.MaxAge", &logger.max_age, "max_age_days"),
        ] {
            match filled(value.as_ref()).map(str::parse::<u64>) {
                None => {}
                Some(Ok(0)) if key == "max_size_mb" => {
                    self.leave(from, "0 is the default there, which here is 100 MB");
                }
                Some(Ok(number)) => self.take(from, "logger", key, json!(number)),
                Some(Err(_)) => self.leave(from, "it is no number"),
            }
        }
        if let Some(compress) = filled(logger.compress.as_ref()) {
            match compress.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => {
                    self.take("Logger.Compress", "logger", "compress", json!(true))
                }
                "false" | "no" | "off" | "n" => {
                    self.take("Logger.Compress", "logger", "compress", json!(false))
                }
                _ => self.leave("Logger.Compress", "it is neither true nor false"),
            }
        }
    }

    fn kafka(&mut self, path: &str, name: &str, kafka: Option<&GoKafka>) {
        let from = format!("{path}.Brokers");
        let Some(kafka) = kafka else { return };
        match filled(kafka.brokers.as_ref()) {
            Some(brokers) => {
                let value = json!({ "brokers": escaped(brokers) });
                self.take(&from, "kafka", name, value);
            }
            None => self.leave(&from, "it is empty"),
        }
        if kafka.max_idle.is_some() {
            self.leave(
                &format!("{path}.MaxIdle"),
                "there is one connection per broker here, and no pool of them",
            );
        }
    }

    fn robot(&mut self, robot: Option<&BTreeMap<String, Option<String>>>) {
        let mut webhooks = Vec::new();
        for (name, url) in robot.into_iter().flatten() {
            let from = format!("Robot.{name}");
            match url.as_deref().unwrap_or_default() {
                "" => self.leave(&from, "it is empty"),
                url if url.ends_with("key=") => self.leave(&from, "its address has no key yet"),
                url => {
                    webhooks.push(json!(escaped(url)));
                    self.take(&from, "alert", "webhooks", Value::Array(webhooks.clone()));
                }
            }
        }
    }

    fn exec_cmd(&mut self, exec_cmd: Option<&str>) {
        if let Some(path) = exec_cmd.filter(|path| !path.is_empty()) {
            self.exec_cmd = Some(path.to_owned());
            self.leave(
                "ExecCmd",
                "cron runs are started with this daemon's own file; the Go program there takes other arguments. \
                 The new file has it as a comment, `cron_command`",
            );
        }
    }

    /// Takes a value over if our own reader takes it, alone.
    fn take(&mut self, from: &str, section: &'static str, key: &str, value: Value) {
        let to = format!("{section}.{key}");
        // The webhooks grow one by one.
        if section != "alert"
            && let Some((first, _)) = self.taken.iter().find(|(_, taken)| *taken == to)
        {
            let why = format!(
                "it would be `{to}`, which {first} is already: it is lost, rename one of the two"
            );
            return self.leave(from, why);
        }
        let alone = json!({ section: { key: value } });
        if let Err(report) = settings_of(from, &alone.to_string()) {
            let why: Vec<&str> = report
                .faults()
                .iter()
                .map(|fault| fault.message())
                .collect();
            return self.leave(from, why.join("; "));
        }
        let index = self.sections.iter().position(|(name, _)| *name == section);
        let index = index.unwrap_or_else(|| {
            self.sections.push((section, BTreeMap::new()));
            self.sections.len() - 1
        });
        self.sections[index].1.insert(key.to_owned(), value);
        self.taken.push((from.to_owned(), to));
    }

    fn leave(&mut self, from: &str, why: impl ToString) {
        self.left.push((from.to_owned(), why.to_string()));
    }

    /// The new file.
    pub(super) fn text(&self, from: &str) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut out, from);
        out
    }

    fn write(&self, out: &mut String, from: &str) -> std::fmt::Result {
        let from = from.replace(char::is_control, " ");
        writeln!(
            out,
            "// Made of the Go project's {from}. docs/en/configuration.md of simplest_script lists all keys;"
        )?;
        writeln!(
            out,
            "// every one may be left out. \"${{NAME}}\" in a string is taken from the environment."
        )?;
        writeln!(out, "{{")?;
        writeln!(
            out,
            "    // The daemon's own tables. To work on the Go program's crontab_log and delay_queue_log, put the address of"
        )?;
        writeln!(
            out,
            "    // their database in here; first switch its cron entry `delay_queue` off (MIGRATING.md)."
        )?;
        writeln!(
            out,
            "    \"database\": {{ \"url\": \"sqlite://data/simplest_script.db\" }},"
        )?;
        for (section, values) in &self.sections {
            writeln!(out, "    \"{section}\": {{")?;
            for (key, value) in values {
                writeln!(out, "        {}: {value},", json!(key))?;
            }
            writeln!(out, "    }},")?;
        }
        if let Some(path) = &self.exec_cmd {
            let path = json!(path).to_string();
            writeln!(
                out,
                "    // ExecCmd of the Go project. Not needed: a cron run is started with this daemon's own file."
            )?;
            writeln!(out, "    // \"cron_command\": {path},")?;
        }
        writeln!(out, "}}")
    }
}

/// `redis://[:password@]host:port/db`; `None` without an address.
fn redis_url(server: &GoRedis) -> Option<String> {
    let address = filled(server.addr.as_ref())?;
    let login = match filled(server.pass.as_ref()) {
        // Its `+` is a blank of forms, not of URLs.
        Some(pass) => format!(
            ":{}@",
            byte_serialize(pass.as_bytes())
                .collect::<String>()
                .replace('+', "%20")
        ),
        None => String::new(),
    };
    let db = filled(server.db.as_ref()).unwrap_or("0");
    Some(format!("redis://{login}{address}/{db}"))
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// What stands for itself in our files, where `${` does not.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// `TestMain` as `test_main`: by that name the Go project's handlers ask for it.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    for c in name.chars() {
        if c.is_uppercase() && before.is_some_and(|c: char| c.is_lowercase() || c.is_numeric()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_by_which_go_handlers_ask() {
        for (go, ours) in [
            ("TestMain", "test_main"),
            ("Default", "default"),
            ("DB", "db"),
            ("Data2Main", "data2_main"),
            ("already_so", "already_so"),
        ] {
            assert_eq!(snake(go), ours);
        }
    }

    #[test]
    fn an_address_keeps_its_password_whatever_is_in_it() {
        let server = GoRedis {
            addr: Some("h:6379".to_owned()),
            pass: Some("a b@/+".to_owned()),
            db: None,
        };
        assert_eq!(
            redis_url(&server).unwrap(),
            "redis://:a%20b%40%2F%2B@h:6379/0"
        );
    }
}
