//! The blocks of code in the documents, for tests that run or read them.
//!
//! Chinese documents have the same blocks as the English ones (`tests/documents.rs`), so only the English are read.

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block of code.
pub(crate) struct Block {
    /// File and line of its fence.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// All blocks whose fence has these words: `json queue`.
pub(crate) fn blocks(kind: &str) -> Vec<Block> {
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document can be read");
        let name = path.display().to_string();
        let mut block: Option<(bool, Block)> = None;
        for (index, line) in text.lines().enumerate() {
            match (&mut block, line.trim_start().strip_prefix("```")) {
                (None, Some(words)) => {
                    let place = format!("{name}:{}", index + 1);
                    let text = String::new();
                    block = Some((words == kind, Block { place, text }));
                }
                (Some(_), Some("")) => {
                    let (_, block) = block.take().filter(|(wanted, _)| *wanted).unzip();
                    found.extend(block);
                }
                (Some((_, block)), _) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
    }
    assert!(!found.is_empty(), "no block of `{kind}`");
    found
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in [root.to_owned(), root.join("docs/en")] {
        let entries = fs::read_dir(folder).expect("the documents are there");
        paths.extend(entries.map(|entry| entry.expect("a folder can be read").path()));
    }
    let is_english = |path: &PathBuf| {
        let name = path.display().to_string();
        name.ends_with(".md") && !name.ends_with(".zh-CN.md")
    };
    paths.retain(is_english);
    paths.sort();
    paths
}
