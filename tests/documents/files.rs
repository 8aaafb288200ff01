//! Source files that the documents name are there.

use std::fs;
use std::path::Path;

use crate::{all, root};

/// What a file of ours ends with, where a document names it.
const ENDINGS: [&str; 3] = [".rs", ".lua", ".yml"];
/// Where such files are. `main.rs` and `tests.rs` of a user's own program are named too, and are here as well.
const FOLDERS: [&str; 5] = ["actors", "src", "tests", "examples", "etc"];

/// The paths of all files below a folder, from the root.
fn below(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// `kafka/lag.rs` may stand for `actors/source/kafka/lag.rs`.
#[test]
fn each_source_file_that_a_document_names_is_there() {
    let mut files = Vec::new();
    FOLDERS.iter().for_each(|folder| below(folder, &mut files));
    let mut missing = Vec::new();
    for document in all()
        .iter()
        .filter(|document| document.name != "CHANGELOG.md")
    {
        let names = document.headings.iter().flat_map(|heading| &heading.names);
        let is_name = |name: &&String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            name.chars().all(plain) && ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        for name in names.filter(is_name) {
            let is_there = files.iter().any(|file| Path::new(file).ends_with(name));
            if !is_there {
                missing.push(format!("{}: {name}", document.name));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// `Source::ownership` is a function `ownership` somewhere, and a type or room `Source`. Names of other crates begin with the
/// crate's.
#[test]
fn each_item_that_a_document_names_is_there() {
    const OF_OTHERS: [&str; 3] = ["tokio", "std", "serde_json"];

    let mut files = Vec::new();
    ["actors", "src", "examples"]
        .iter()
        .for_each(|folder| below(folder, &mut files));
    let is_source = |file: &&String| file.ends_with(".rs");
    let sources: Vec<String> = files
        .iter()
        .filter(is_source)
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .collect();
    let is_defined = |name: &str| {
        let definitions = ["fn", "struct", "enum", "trait", "mod", "type", "const"]
            .map(|keyword| format!("{keyword} {name}"));
        let follows = |text: &str, at: usize| {
            let next = text[at..].chars().next();
            !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        };
        let has = |text: &String| {
            definitions.iter().any(|definition| {
                let mut found = text.match_indices(definition.as_str());
                found.any(|(at, _)| follows(text, at + definition.len()))
            })
        };
        sources.iter().any(has) || files.iter().any(|file| file.contains(&format!("/{name}/")))
    };
    let mut missing = Vec::new();
    let mut checked = 0;
    for document in all()
        .iter()
        .filter(|document| document.name != "CHANGELOG.md")
    {
        let names = document.headings.iter().flat_map(|heading| &heading.names);
        for name in names.filter(|name| name.contains("::")) {
            let path = name.trim_end_matches("()");
            let is_path = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
            let first = path.split("::").next().unwrap();
            if !path.chars().all(is_path) || OF_OTHERS.contains(&first) {
                continue;
            }
            checked += 1;
            let parts = path.split("::").filter(|part| *part != "simplest_script");
            for part in parts.filter(|part| !is_defined(part)) {
                missing.push(format!("{}: `{part}` of `{name}`", document.name));
            }
        }
    }
    assert!(checked > 10, "{checked}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
