//! `import`: the Go project's YAML settings as `etc/{env}.json`, and what was not taken over.

mod convert;
mod go_file;
mod write;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::convert::Imported;
use super::print::print;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::go_layout;
use crate::bootstrap::version;
use crate::config::{Environment, Places, settings_of};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The Go project's settings
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    /// Replace an etc/ENV.json that is there
    #[arg(long)]
    force: bool,
}

/// Writes the file, or nothing; prints what became of each key.
pub(crate) fn import(places: &Places, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let target = places.settings();
    if target.exists() && !args.force {
        return Err(Failure::misused(format!(
            "`{}` is there already; nothing was written. `--force` replaces it, `--env` chooses another",
            target.display()
        )));
    }
    let imported = read(&args.file)?;
    let text = imported.text(&args.file.display().to_string());
    // A file that does not pass `check` is not written: each value was checked alone, here they are together.
    settings_of(&target.display().to_string(), &text).map_err(Failure::failed)?;
    write::write(&target, &text, args.force)
        .map_err(|cause| Failure::failed(format!("`{}`: {cause}", target.display())))?;
    print(&report(places, args, &target, &imported))?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Imported, Failure> {
    let refused = |why: &dyn std::fmt::Display| {
        Failure::misused(format!("`{}`: {why}; nothing was written", file.display()))
    };
    let text = fs::read_to_string(file).map_err(|cause| refused(&cause))?;
    let go = go_file::GoFile::read(&text).map_err(|cause| refused(&cause))?;
    Ok(Imported::of(&go))
}

fn report(places: &Places, args: &ImportArgs, target: &Path, imported: &Imported) -> String {
    let file = args.file.display();
    let program = version::program();
    let mut lines = vec![format!("{} is made of {file}:", target.display())];
    let taken = imported.taken.iter();
    lines.extend(taken.map(|(from, to)| format!("  {from} is {to}")));
    if !imported.left.is_empty() {
        lines.push("not taken over:".to_owned());
    }
    let left = imported.left.iter();
    lines.extend(left.map(|(from, why)| format!("  {from}: {why}")));
    lines.push(
        "next:\n  addresses hold passwords, so only you may read the file; \"${NAME}\" in their place is taken from the \
         environment"
            .to_owned(),
    );
    if let Some(other) = named_environment(&args.file).filter(|named| *named != places.environment)
    {
        lines.push(format!(
            "  the file's name says {other}: `{program} import {file} --env {other}` makes {other}.json"
        ));
    }
    for path in [places.queues(), places.crontab()] {
        if !path.exists() {
            lines.push(format!(
                "  {} is missing: the Go project's file is read as it is; `[]` is none",
                path.display()
            ));
        }
    }
    let hints = go_layout::hints(places).into_iter();
    lines.extend(hints.map(|hint| format!("  {hint}")));
    lines.push(format!(
        "  `{program} check --env {}` checks the result, with `--online` the servers too\n",
        places.environment
    ));
    lines.join("\n")
}

/// The environment that the file is named after.
fn named_environment(file: &Path) -> Option<Environment> {
    file.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseUrl;

    const GO: &str = "
Name: shop
Mode: dev
Port: 7100
ExecCmd: /srv/shop/shop
Mysql:
  TestMain: \"root:p@ss/${x}@tcp(127.0.0.1:3306)/shop?charset=utf8mb4&parseTime=True&loc=Local\"
  Secure: \"root:hunter2@tcp(h)/a?tls=ours\"
  Unused: \"\"
Redis:
  Default: { Addr: \"127.0.0.1:6379\", Pass: \"\", Db: 14 }
  Data:
    Addr: 127.0.0.1:6379
    Pass: 0123
    Db: 15
Logger:
  Path: \"./logs\"
  MaxSize: 0
  MaxBackups: 10
  MaxAge: many
  Compress: yes
RabbitMQ: { Addr: amqp://u:hunter2@h/ }
Robot:
  WechatUrl: \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k\"
Kafka:
  Brokers: 127.0.0.1:9092
  MaxIdle: 5
Ours: { A: 1 }
";

    fn places(directory: &Path) -> Places {
        Places {
            etc: directory.join("etc"),
            environment: Environment::Test,
            partition: "script1".parse().unwrap(),
        }
    }

    fn imported(text: &str) -> Imported {
        Imported::of(&go_file::GoFile::read(text).unwrap())
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was_meant() {
        let settings = settings_of("x", &imported(GO).text("conf.yaml")).unwrap();
        let main = &settings.databases["test_main"].url;
        let DatabaseUrl::Mysql(url) = main else {
            panic!("{main:?}")
        };
        assert_eq!(
            url.expose(),
            "mysql://root:p%40ss%2F%24%7Bx%7D@127.0.0.1:3306/shop"
        );
        assert_eq!(
            settings.redis["default"].url.expose(),
            "redis://127.0.0.1:6379/14"
        );
        assert_eq!(
            settings.redis["data"].url.expose(),
            "redis://:0123@127.0.0.1:6379/15"
        );
        assert_eq!(
            settings.kafka["default"].brokers.to_string(),
            "127.0.0.1:9092"
        );
        assert_eq!(settings.logger.path, PathBuf::from("./logs"));
        assert_eq!(settings.logger.max_backups, 10);
        assert!(settings.logger.compress);
        assert_eq!(settings.alert.webhooks.len(), 1);
        assert_eq!(settings.cron_command, None);
    }

    #[test]
    fn import_reports_what_it_leaves_and_no_secrets() {
        let imported = imported(GO);
        let left: Vec<&str> = imported
            .left
            .iter()
            .map(|(from, _)| from.as_str())
            .collect();
        assert_eq!(
            left,
            [
                "Mysql.Secure",
                "Mysql.Unused",
                "Logger.MaxSize",
                "Logger.MaxAge",
                "Kafka.MaxIdle",
                "ExecCmd",
                "Name",
                "Mode",
                "Port",
                "RabbitMQ",
                "Ours",
            ]
        );
        let text = format!("{:?} {:?}", imported.taken, imported.left);
        assert!(text.contains("`tls=ours`"), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("p@ss"),
            "{text}"
        );
    }

    #[test]
    fn clusters_of_newer_versions_are_taken_by_their_names() {
        let go = "Kafka:\n  Default: { Brokers: \"a:9092\", MaxIdle: 5 }\n  BigData: { Brokers: \"b:9092,c:9092\" }\n";
        let imported = imported(go);
        let settings = settings_of("x", &imported.text("conf.yaml")).unwrap();
        let brokers = |name: &str| settings.kafka[name].brokers.to_string();
        assert_eq!(brokers("default"), "a:9092");
        assert_eq!(brokers("big_data"), "b:9092,c:9092");
        assert_eq!(imported.left[0].0, "Kafka.Default.MaxIdle");
    }

    #[test]
    fn import_names_what_a_name_clash_loses() {
        let imported =
            imported("Mysql: { TestMain: \"u:p@tcp(a)/first\", testMain: \"u:p@tcp(a)/second\" }");
        assert_eq!(imported.taken.len(), 1);
        assert!(imported.text("x").contains("/first"));
        let (from, why) = &imported.left[0];
        assert_eq!(from, "Mysql.testMain");
        assert!(
            why.contains("`databases.test_main`, which Mysql.TestMain is already"),
            "{why}"
        );
    }

    #[test]
    fn each_value_of_another_form_is_named_with_what_is_wanted() {
        let refused = |text: &str| go_file::GoFile::read(text).unwrap_err();
        let text = refused(
            "Mysql: hunter2\nRedis: { Default: [hunter2], Data: { Addr: {} } }\nKafka: { Default: { Brokers: [a] } }",
        );
        for part in [
            "`Mysql`: wanted names with their values, found a single value",
            "`Redis.Default`: wanted the keys `Addr`, `Pass`, `Db`, found a list",
            "`Redis.Data.Addr`: wanted a text, found keys below it",
            "`Kafka.Default.Brokers`: wanted a text, found a list",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
        let twice = refused("Mysql: { Main: hunter2 }\nName: a\nMysql: { Main: b }\n");
        assert!(twice.starts_with("has the key `Mysql` twice"), "{twice}");
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("conf.yaml");
        fs::write(&file, "Kafka: { Brokers: \"h:9092\" }").unwrap();
        let places = places(dir.path());
        let run = |force| {
            let file = file.clone();
            import(&places, &ImportArgs { file, force })
        };
        run(false).unwrap();
        let first = fs::read_to_string(places.settings()).unwrap();
        assert!(first.contains("h:9092"), "{first}");
        fs::write(places.settings(), "{} // mine").unwrap();
        let refused = format!("{:?}", run(false).unwrap_err());
        assert!(refused.contains("--force"), "{refused}");
        assert_eq!(fs::read_to_string(places.settings()).unwrap(), "{} // mine");
        run(true).unwrap();
        assert_eq!(fs::read_to_string(places.settings()).unwrap(), first);
        assert_eq!(fs::read_dir(&places.etc).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_settings_file_is_refused_and_nothing_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("conf.yaml");
        let places = places(dir.path());
        for text in [
            "",
            "[1]",
            "a: [",
            "Mysql: hunter2",
            "Redis: { Default: hunter2 }",
            "a: 1\na: 2",
        ] {
            fs::write(&file, text).unwrap();
            let file = file.clone();
            let refused = import(&places, &ImportArgs { file, force: false }).unwrap_err();
            let refused = format!("{refused:?}");
            assert!(refused.contains("nothing was written"), "{text}: {refused}");
            assert!(!refused.contains("hunter2"), "{text}: {refused}");
        }
        assert!(!places.etc.exists());
    }

    #[test]
    fn the_files_name_may_say_the_environment() {
        assert_eq!(
            named_environment(Path::new("a/test.yaml.template")),
            Some(Environment::Test)
        );
        assert_eq!(named_environment(Path::new("conf.yaml")), None);
    }
}
