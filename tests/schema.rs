//! The JSON Schemas from outside: `schema` prints them, and on the whole corpus they refuse nothing that `check` accepts.
//!
//! Where a schema refuses a bad configuration, the report names the same file and a place there, above or below. A schema sees
//! one file, not servers, handlers or dates; the report may say more.

#![expect(clippy::unwrap_used, reason = "a test without its world fails")]

#[expect(dead_code, reason = "no configuration is checked here")]
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, InstanceToken, SchemaIndex, Schemas, ValidationError};
use jsonc_parser::ast;
use serde_json::{Map, Value};

use corpus::{cases, corpus, ledger};

struct Validators {
    schemas: Schemas,
    /// With what the file's name begins.
    of: Vec<(&'static str, SchemaIndex)>,
}

impl Validators {
    fn new() -> Self {
        let mut compiler = Compiler::new();
        let mut schemas = Schemas::new();
        let of = [
            ("queue", "queue_"),
            ("crontab", "crontab_"),
            ("settings", ""),
        ];
        let of = of.map(|(name, begin)| {
            let place = format!("http://localhost/{name}.json");
            compiler.add_resource(&place, printed(&[name])).unwrap();
            (begin, compiler.compile(&place, &mut schemas).unwrap())
        });
        Self {
            schemas,
            of: of.into(),
        }
    }

    /// The refusal, and the paths of the values it is about.
    fn refuse(&self, file: &Path, value: &Value) -> Option<(String, Vec<String>)> {
        let name = file.file_name().unwrap().to_str().unwrap();
        let of = self.of.iter().find(|(begin, _)| name.starts_with(begin));
        let judged = self.schemas.validate(value, of.unwrap().1);
        judged.err().map(|error| {
            let mut paths = Vec::new();
            leaves(&error, &mut paths);
            (format!("{error:#}"), paths)
        })
    }
}

/// Where the innermost reasons of a refusal lie, as the report writes paths: `[0].backoff.base`.
fn leaves(error: &ValidationError<'_, '_>, paths: &mut Vec<String>) {
    if error.causes.is_empty() {
        let tokens = error.instance_location.tokens.iter();
        let path: String = tokens
            .map(|token| match token {
                InstanceToken::Prop(name) => format!(".{name}"),
                InstanceToken::Item(index) => format!("[{index}]"),
            })
            .collect();
        paths.push(path.trim_start_matches('.').to_owned());
    }
    for cause in &error.causes {
        leaves(cause, paths);
    }
}

/// The paths that a report names in a file; a fault of the whole file has none.
fn fault_paths<'r>(report: &'r str, file: &str) -> Vec<&'r str> {
    let lines = report.lines().filter_map(|line| line.strip_prefix(file));
    let paths = lines.map(|line| {
        let path = line
            .split_once(": `")
            .and_then(|(_, rest)| rest.split_once("`:"));
        path.map_or("", |(path, _)| path)
    });
    paths.collect()
}

fn printed(args: &[&str]) -> Value {
    let output = std::process::Command::new(ledger())
        .arg("schema")
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The value of a file; None where it is no JSON with comments.
fn parsed(path: &Path) -> Option<Value> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
    value(&parsed.ok()?.value?)
}

fn value(ast: &ast::Value<'_>) -> Option<Value> {
    Some(match ast {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(it) => it.value.into(),
        ast::Value::NumberLit(it) => serde_json::from_str(it.value).ok()?,
        ast::Value::StringLit(it) => it.value.as_ref().into(),
        ast::Value::Array(it) => {
            Value::Array(it.elements.iter().map(value).collect::<Option<_>>()?)
        }
        ast::Value::Object(it) => {
            let members = it.properties.iter();
            let members = members.map(|it| Some((it.name.as_str().to_owned(), value(&it.value)?)));
            Value::Object(members.collect::<Option<Map<_, _>>>()?)
        }
    })
}

fn json_files(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_schemas_accept_every_configuration_that_check_accepts() {
    let validators = Validators::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let accepted = corpus("accepted");
    let mut directories: Vec<PathBuf> = cases(&accepted)
        .iter()
        .map(|case| accepted.join(case))
        .collect();
    directories
        .extend(["tests/refusals/good", "tests/daemon/go", "etc"].map(|path| here.join(path)));
    let mut seen = 0;
    let of_init = fs::read_dir(here.join("actors/cli/init/template/etc")).unwrap();
    let of_init = of_init.map(|file| file.unwrap().path());
    let committed = directories
        .iter()
        .flat_map(|directory| json_files(directory));
    for file in committed.chain(of_init) {
        let value = parsed(&file).unwrap();
        let refusal = validators.refuse(&file, &value);
        assert_eq!(refusal, None, "{}", file.display());
        seen += 1;
    }
    assert!(seen > 40, "{seen} files");
}

#[test]
fn what_a_schema_refuses_check_refuses() {
    let validators = Validators::new();
    let refusals = corpus("refusals");
    let (mut seen, mut cases_seen) = (0, 0);
    for name in cases(&refusals) {
        let case = refusals.join(&name);
        // What cannot be kept in git is made when it is read.
        if name.starts_with("made_") {
            continue;
        }
        let report = fs::read_to_string(case.join("expected.txt")).unwrap();
        let mut of_case = 0;
        for file in json_files(&case) {
            let Some(value) = parsed(&file) else { continue };
            let Some((refusal, paths)) = validators.refuse(&file, &value) else {
                continue;
            };
            let shown = format!("etc/{}:", file.file_name().unwrap().to_str().unwrap());
            let faults = fault_paths(&report, &shown);
            assert!(!faults.is_empty(), "{name}: {refusal}\n{report}");
            let is_named = |path: &String| {
                let mut faults = faults.iter();
                faults.any(|fault| fault.starts_with(path.as_str()) || path.starts_with(fault))
            };
            let places = format!("{name}: {paths:?}: {refusal}\n{report}");
            assert!(paths.iter().any(is_named), "{places}");
            of_case += 1;
        }
        seen += of_case;
        cases_seen += usize::from(of_case > 0);
    }
    println!("{seen} files of {cases_seen} cases are refused by their schema too");
    assert!(cases_seen > 40, "{cases_seen}");
}

#[test]
fn the_language_is_a_choice_and_another_file_is_refused() {
    let queue = |args: &[&str]| {
        let schema = printed(args);
        schema["items"]["properties"]["progress"]["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (both, english, chinese) = (
        queue(&["queue"]),
        queue(&["queue", "--lang", "en"]),
        queue(&["queue", "--lang", "zh"]),
    );
    assert_eq!(both, format!("{english}\n{chinese}"));
    assert_ne!(english, chinese);
    let refused = std::process::Command::new(ledger())
        .args(["schema", "queues"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

/// What VS Code is pointed at is there, and each configuration file has a schema.
#[test]
fn the_editors_settings_name_the_schemas() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = parsed(&here.join(".vscode/settings.json")).unwrap();
    let schemas = settings["json.schemas"].as_array().unwrap();
    assert_eq!(schemas.len(), 3);
    for schema in schemas {
        let path = schema["url"].as_str().unwrap();
        assert!(here.join(path).is_file(), "{path}");
    }
    let shown = settings["json.schemas"].to_string();
    for file in [
        "/etc/queue_*.json",
        "/etc/crontab_*.json",
        "/etc/dev.json",
        "/etc/release.json",
    ] {
        assert!(shown.contains(file), "{file}");
    }
}
