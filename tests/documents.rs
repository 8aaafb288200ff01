//! The documents in English and in Chinese say the same, as far as a program can see, and each link leads somewhere.
//!
//! Chinese paragraphs are one line each: a line break in one is shown as a blank between two characters. What stands in
//! blocks of code is tried elsewhere: Rust by `cargo test --doc`, configurations in `actors/config/tests/documents.rs`,
//! commands in `actors/cli/arguments.rs`, SQL in `tests/daemon/documents.rs`, the rest in `blocks.rs` and `golang.rs`.

#![expect(clippy::unwrap_used, reason = "a test without its files fails")]

#[path = "documents/blocks.rs"]
mod blocks;
#[path = "documents/document.rs"]
mod document;
#[path = "documents/files.rs"]
mod files;
#[path = "documents/golang.rs"]
mod golang;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::document::{Document, anchor};

/// Lines that README may have: it is read in five minutes.
const README_LINES: usize = 250;

/// English, Chinese: those beside each other, then the twins below `docs/`.
fn pairs() -> Vec<(Document, Document)> {
    let beside = ["README", "MIGRATING"];
    let beside = beside.map(|name| (format!("{name}.md"), format!("{name}.zh-CN.md")));
    let below = files("docs/en").into_iter().map(|name| {
        let chinese = name.replace("docs/en/", "docs/zh/");
        (name, chinese)
    });
    let pairs = beside.into_iter().chain(below);
    pairs
        .map(|(english, chinese)| (Document::read(&english), Document::read(&chinese)))
        .collect()
}

/// Those that are in English alone.
const ENGLISH_ONLY: [&str; 3] = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"];

fn all() -> Vec<Document> {
    let pairs = pairs()
        .into_iter()
        .flat_map(|(english, chinese)| [english, chinese]);
    pairs.chain(ENGLISH_ONLY.map(Document::read)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, by their paths from the root.
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    files
}

#[test]
fn both_languages_have_the_same_documents() {
    let names = |folder: &str| -> Vec<String> {
        let prefix = format!("{folder}/");
        files(folder)
            .iter()
            .map(|name| name.replace(&prefix, ""))
            .collect()
    };
    assert_eq!(names("docs/en"), names("docs/zh"));
    assert!(names("docs/en").iter().all(|name| name.ends_with(".md")));
}

#[test]
fn both_languages_have_the_same_headings_tables_lists_and_code() {
    let mut code = 0;
    for (english, chinese) in pairs() {
        let names = (&english.name, &chinese.name);
        assert_eq!(english.levels(), chinese.levels(), "{names:?}: headings");
        assert_eq!(english.tables, chinese.tables, "{names:?}: tables");
        assert_eq!(english.items, chinese.items, "{names:?}: points of lists");
        assert_eq!(english.code(), chinese.code(), "{names:?}: blocks of code");
        assert!(english.headings.len() > 3, "{names:?}");
        code += english.code().len();
    }
    assert!(code > 40, "{code}");
}

/// A key, command or value that one of them lacks is a fact that it lacks.
#[test]
fn each_section_names_the_same_keys_and_values_in_both_languages() {
    let mut missing = Vec::new();
    for (english, chinese) in pairs() {
        for (here, there) in english.headings.iter().zip(&chinese.headings) {
            let sides = [
                (&english.name, here.names.difference(&there.names)),
                (&chinese.name, there.names.difference(&here.names)),
            ];
            for (has, names) in sides {
                missing.extend(
                    names.map(|name| format!("`{name}` is only in {has}, \"{}\"", here.text)),
                );
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_chinese_paragraph_is_wrapped() {
    let wrapped: Vec<String> = pairs()
        .iter()
        .flat_map(|(_, chinese)| chinese.wrapped())
        .collect();
    assert!(wrapped.is_empty(), "{}", wrapped.join("\n"));
}

#[test]
fn a_readme_is_short() {
    for name in ["README.md", "README.zh-CN.md"] {
        let lines = fs::read_to_string(root().join(name))
            .unwrap()
            .lines()
            .count();
        assert!(
            lines <= README_LINES,
            "{name}: {lines} lines; move some to docs/"
        );
    }
}

/// Bytes that a picture may have: a reader on a slow line waits for it.
const PICTURE_BYTES: u64 = 120_000;

#[test]
fn pictures_are_there_in_both_languages_described_and_small() {
    let mut shown = BTreeSet::new();
    for (english, chinese) in pairs() {
        let of_both = [&english, &chinese].map(|document| document.pictures.len());
        assert_eq!(
            of_both[0], of_both[1],
            "{} and {}",
            english.name, chinese.name
        );
        for (picture, twin) in english.pictures.iter().zip(&chinese.pictures) {
            let expected = picture.path.replace(".png", ".zh-CN.png");
            assert_eq!(twin.path, expected, "{}", chinese.name);
            for (document, picture) in [(&english, picture), (&chinese, twin)] {
                assert!(
                    !picture.words.is_empty(),
                    "{}: {}",
                    document.name,
                    picture.path
                );
                let (path, _) = target(document, &picture.path);
                let bytes =
                    fs::read(root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
                assert!(bytes.starts_with(b"\x89PNG\r\n"), "{path} is no PNG");
                assert!(
                    bytes.len() as u64 <= PICTURE_BYTES,
                    "{path}: {} bytes",
                    bytes.len()
                );
                shown.insert(path);
            }
        }
    }
    let kept: BTreeSet<String> = files("docs/images").into_iter().collect();
    assert_eq!(
        kept, shown,
        "`make pictures` makes them; each is in a document"
    );
    assert!(shown.len() >= 6, "{shown:?}");
}

/// What a link in this document leads to: a path from the root, and an anchor.
fn target(document: &Document, link: &str) -> (String, Option<String>) {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    if path.is_empty() {
        return (document.name.clone(), anchor);
    }
    let mut whole = PathBuf::from(&document.name);
    whole.pop();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => assert!(whole.pop(), "{}: {link}", document.name),
            part => whole.push(part),
        }
    }
    (whole.to_str().unwrap().to_owned(), anchor)
}

/// Documents alone are linked, so that each link holds in the book too (`make docs`).
#[test]
fn each_link_leads_to_a_document_and_a_heading_of_it() {
    let all = all();
    let mut dead = Vec::new();
    let mut seen = 0;
    for document in &all {
        for link in &document.links {
            seen += 1;
            let (path, anchor_of_link) = target(document, link);
            let Some(there) = all.iter().find(|other| other.name == path) else {
                dead.push(format!("{}: {link}: no document", document.name));
                continue;
            };
            let is_there =
                |wanted: &String| there.headings.iter().any(|h| anchor(&h.text) == *wanted);
            if !anchor_of_link.as_ref().is_none_or(is_there) {
                dead.push(format!("{}: {link}: no such heading", document.name));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(seen > 60, "{seen}");
}

/// A link by its number could lead to either.
#[test]
fn no_two_headings_of_a_document_have_one_anchor() {
    for document in all()
        .iter()
        .filter(|document| document.name != "CHANGELOG.md")
    {
        let mut anchors = BTreeSet::new();
        for heading in &document.headings {
            let is_new = anchors.insert(anchor(&heading.text));
            assert!(is_new, "{}: \"{}\" twice", document.name, heading.text);
        }
    }
}

/// Where a reader of one language is, one click leads to the other.
#[test]
fn each_document_links_its_twin() {
    for (english, chinese) in pairs() {
        for (from, to) in [(&english, &chinese), (&chinese, &english)] {
            let leads = |link: &String| target(from, link).0 == to.name;
            assert!(from.links.iter().any(leads), "{} to {}", from.name, to.name);
        }
    }
}

#[test]
fn the_book_has_every_document_once() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let links = summary.split("](").skip(1);
    let mut in_book: Vec<&str> = links.map(|rest| rest.split(')').next().unwrap()).collect();
    in_book.sort_unstable();
    let all = all();
    let mut there: Vec<&str> = all.iter().map(|document| &*document.name).collect();
    there.sort_unstable();
    assert_eq!(
        in_book, there,
        "docs/SUMMARY.md; its paths are from the root"
    );
}
