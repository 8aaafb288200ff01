//! The file of `generate-model`, with the keys of the Go project's.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use super::settings::DatabaseUrl;
use crate::jsonc::fault::{Fault, Report};
use crate::jsonc::node::Node;
use crate::jsonc::{file, quote, suggest, tree};

/// Characters of a name at most; PostgreSQL's are 63 bytes, MySQL's 64 characters.
const LONGEST_NAME: usize = 128;
const LONGEST_PATH: usize = 1_024;

/// What is generated, and from where.
#[derive(Debug)]
pub(crate) struct ModelSettings {
    /// Stands in the documentation of the outermost module.
    pub(crate) module_name: String,
    pub(crate) output_dir: PathBuf,
    pub(crate) databases: Vec<ModelDatabase>,
}

/// One database, and the module made of it.
#[derive(Debug)]
pub(crate) struct ModelDatabase {
    /// The module and the folder below `output_dir`.
    pub(crate) pkg: String,
    pub(crate) link: DatabaseUrl,
    pub(crate) db_name: String,
    /// Empty: all.
    pub(crate) tables: Vec<String>,
    /// The name of the constant that holds `db_name`.
    pub(crate) constant: Option<String>,
    /// Where in the file it stands, for the database's faults about it.
    pub(crate) place: String,
}

/// Reads the file.
///
/// # Errors
///
/// All its faults.
pub(crate) fn load_models(path: &Path) -> Result<ModelSettings, Report> {
    let missing = || "write one, or name another: `generate-model FILE`".to_owned();
    let text = file::read(path, missing)?;
    let name = path.display().to_string();
    let lookup = |name: &str| env::var(name).ok();
    let empty = "write `{\"output_dir\": …, \"db_list\": […]}` into it";
    let (settings, faults) = tree::read(&name, &text, &lookup, empty, |root| read(&name, root));
    if let Some(report) = Report::of([faults]) {
        return Err(report);
    }
    settings
        .flatten()
        .ok_or_else(|| Fault::of_file(&name, "cannot be read").into())
}

fn read(file: &str, root: &Node<'_>) -> Option<ModelSettings> {
    root.object(|o| {
        let module_name = o.optional("module_name", String::new(), |node| {
            node.string().filter(|name| name.is_empty() || node.printable(name).is_some())
        });
        let output_dir = o.required("output_dir", "the folder that is written", |node| {
            node.name(LONGEST_PATH)
        });
        let databases = o.required("db_list", "the databases", |node| {
            let read: Vec<_> = node.array()?.iter().map(|node| database(file, node)).collect();
            let read: Vec<ModelDatabase> = read.into_iter().collect::<Option<_>>()?;
            let mut packages = BTreeSet::new();
            for database in &read {
                if !packages.insert(database.pkg.as_str()) {
                    let pkg = quote::name(&database.pkg);
                    node.fault(format!(
                        "two databases have the `pkg` {pkg}, and would be written into one folder; give each its own"
                    ));
                    return None;
                }
            }
            if read.is_empty() {
                return node.wanted("at least one database");
            }
            Some(read)
        });
        Some(ModelSettings {
            module_name: module_name?,
            output_dir: output_dir?.into(),
            databases: databases?,
        })
    })
}

fn database(file: &str, node: &Node<'_>) -> Option<ModelDatabase> {
    let place = node.place();
    node.object(|o| {
        let pkg = o.required("pkg", "the module's name", module);
        let link = o.required("link", "the address of the database", Node::parsed_secret);
        let name = o.required("db_name", "the name of the database", |node| {
            node.name(LONGEST_NAME)
        });
        let tables = o.optional("table", Vec::new(), tables);
        let constant = o.optional("const", None, |node| {
            if node.is_null() || node.string()?.is_empty() {
                return Some(None);
            }
            constant(node).map(Some)
        });
        Some(ModelDatabase {
            pkg: pkg?,
            link: link?,
            db_name: name?,
            tables: tables?,
            constant: constant?,
            place: format!("{file}:{place}"),
        })
    })
}

fn is_identifier(text: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic();
    text.starts_with(is_start) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn module(node: &Node<'_>) -> Option<String> {
    let name = node.name(LONGEST_NAME)?;
    let is_lower = !name.chars().any(char::is_uppercase);
    match is_identifier(&name) && is_lower && !is_keyword(&name) {
        true => Some(name),
        false => node.wanted(
            "the name of a Rust module, such as `console`: `a` to `z`, digits, `_`, no keyword",
        ),
    }
}

fn constant(node: &Node<'_>) -> Option<String> {
    let name = node.name(LONGEST_NAME)?;
    match is_identifier(&name) {
        true => Some(name),
        false => node.wanted("the name of a constant, such as `DBConsole` or `DB_CONSOLE`"),
    }
}

/// A list, or one text with commas.
fn tables(node: &Node<'_>) -> Option<Vec<String>> {
    if node.is_null() {
        return Some(Vec::new());
    }
    if node.is_string() {
        let text = node.string()?;
        let names = text.split(',').map(str::trim);
        return Some(
            names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        );
    }
    let names: Vec<_> = node
        .array()?
        .iter()
        .map(|node| node.name(LONGEST_NAME))
        .collect();
    names.into_iter().collect()
}

/// Words that are no names in Rust 2024.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The end of a message about a table that is not there.
pub(crate) fn similar_table<'a>(
    found: &str,
    tables: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    suggest::hint(found, "there are", tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<ModelSettings, Report> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("generateModel.json");
        std::fs::write(&path, text).unwrap();
        load_models(&path)
    }

    #[test]
    fn the_go_projects_file_is_read_as_it_is() {
        let read = loaded(
            r#"{
    "module_name":"simplest_script",  // 项目模块名称
    "output_dir":"./internal/model", // 输出目录
    "db_list":[
        {
            "pkg":"console", // 包名
            "link":"root:123456@tcp(127.0.0.1:3306)/console?charset=utf8mb4&parseTime=True&loc=Local", // 连接
            "db_name":"console", // 数据库名
            "table":[], // 指定表名，为空表示所有表
            "const":"DBConsole" // 连接常量
        }
    ]
}"#,
        )
        .unwrap();
        assert_eq!(read.output_dir, PathBuf::from("./internal/model"));
        let database = &read.databases[0];
        assert_eq!(
            database.link.redacted(),
            "mysql://root:***@127.0.0.1:3306/console"
        );
        assert_eq!(database.constant.as_deref(), Some("DBConsole"));
        assert!(database.tables.is_empty());
    }

    #[test]
    fn tables_are_a_list_or_a_text_with_commas() {
        for table in [r#"["a", "b"]"#, r#""a, b""#] {
            let read = loaded(&format!(
                r#"{{"output_dir": "m", "db_list": [{{"pkg": "p", "link": "sqlite://a.db", "db_name": "a", "table": {table}}}]}}"#
            ));
            assert_eq!(read.unwrap().databases[0].tables, ["a", "b"]);
        }
    }

    #[test]
    fn refusals_of_models_show_no_password() {
        let entry = |more: &str| {
            format!(r#"{{"output_dir": "m", "db_list": [{{"db_name": "a", {more}}}]}}"#)
        };
        for (text, wanted) in [
            ("{}".to_owned(), "`output_dir` is missing"),
            (
                r#"{"output_dir": "m", "db_list": []}"#.to_owned(),
                "at least one database",
            ),
            (
                entry(r#""pkg": "type", "link": "sqlite://a""#),
                "the name of a Rust module",
            ),
            (
                entry(r#""pkg": "p", "link": "oracle://u:hunter2@h/d""#),
                "wanted `sqlite://",
            ),
            (
                entry(r#""pkg": "p", "link": "sqlite://a", "tabel": []"#),
                "did you mean `table`?",
            ),
            (
                entry(r#""pkg": "p", "link": "sqlite://a", "const": "a-b""#),
                "the name of a constant",
            ),
        ] {
            let fault = loaded(&text).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{text}: {fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
