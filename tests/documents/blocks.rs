//! Blocks of code of each language are tried by a test.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::document::{Block, Document};
use crate::{all, root};

/// What may stand behind a fence, and which test tries it.
const KINDS: [(&str, &str); 13] = [
    ("rust", "cargo test --doc"),
    ("rust,no_run", "cargo test --doc"),
    ("json", "actors/config/tests/documents.rs"),
    ("json queue", "actors/config/tests/documents.rs"),
    ("json crontab", "actors/config/tests/documents.rs"),
    ("json settings", "actors/config/tests/documents.rs"),
    ("json model", "actors/config/tests/documents.rs"),
    ("jsonc", "below: it is a file that `init` writes"),
    ("sh", "below, and actors/cli/arguments.rs"),
    ("ini", "below: it is the unit that is shipped"),
    ("sql sqlite", "tests/daemon/documents.rs"),
    ("sql mysql", "tests/daemon/documents.rs"),
    ("go", "golang.rs"),
];

/// Output, formulas and drawings: nothing to be tried.
const SHOWN: &str = "text";

/// The blocks of a kind, with the document that each stands in.
pub(crate) fn blocks(kind: &str) -> Vec<(String, Block)> {
    let of = |document: Document| {
        let name = document.name;
        let blocks = document.blocks.into_iter();
        blocks.map(move |block| (format!("{name}:{}", block.line), block))
    };
    let blocks = all().into_iter().flat_map(of);
    let found: Vec<_> = blocks.filter(|(_, block)| block.kind == kind).collect();
    assert!(!found.is_empty(), "no block of `{kind}`");
    found
}

#[test]
fn each_block_has_a_language_that_is_tried() {
    let mut unknown = Vec::new();
    for document in all() {
        for block in &document.blocks {
            let known = block.kind == SHOWN || KINDS.iter().any(|(kind, _)| *kind == block.kind);
            if !known {
                unknown.push(format!(
                    "{}:{}: `{}`",
                    document.name, block.line, block.kind
                ));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// A document whose Rust is in no doc test would rot.
#[test]
fn rust_of_each_document_is_compiled_with_the_doc_tests() {
    let library = fs::read_to_string(root().join("actors/lib.rs")).unwrap();
    for document in all() {
        let has_rust = document
            .blocks
            .iter()
            .any(|block| block.kind.starts_with("rust"));
        // The Chinese documents have the same blocks.
        let is_english = !document.name.contains("zh");
        if has_rust && is_english {
            let include = format!("include_str!(\"../{}\")", document.name);
            assert!(library.contains(&include), "actors/lib.rs lacks {include}");
        }
    }
}

/// What another program makes of a text on its standard input; `None` where it is not installed.
fn read_by(program: &str, args: &[&str], text: &str) -> Option<Result<(), String>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() {
        Ok(())
    } else {
        Err(said)
    })
}

#[test]
fn a_shell_understands_each_block_of_commands() {
    for (place, block) in blocks("sh") {
        let read = read_by("sh", &["-n"], &block.text).unwrap();
        assert_eq!(read, Ok(()), "{place}");
    }
}

#[test]
fn the_editor_s_settings_are_those_that_init_writes() {
    let template = "actors/cli/init/template/vscode/settings.json.in";
    let written = fs::read_to_string(root().join(template)).unwrap();
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let written: Vec<&str> = written.lines().filter(|line| !is_comment(line)).collect();
    for (place, block) in blocks("jsonc") {
        assert_eq!(block.text.lines().collect::<Vec<_>>(), written, "{place}");
    }
}

/// Paths differ: the block is a unit of one program, the file one for each partition.
#[test]
fn each_setting_of_the_unit_stands_in_the_unit_that_is_shipped() {
    let unit = fs::read_to_string(root().join("etc/systemd/simplest_script@.service")).unwrap();
    let key = |line: &str| line.split('=').next().unwrap().to_owned();
    for (place, block) in blocks("ini") {
        for line in block.text.lines().filter(|line| line.contains('=')) {
            let is_there = unit.lines().any(|shipped| key(shipped) == key(line));
            assert!(is_there, "{place}: {line}");
        }
    }
}
