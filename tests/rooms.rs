//! The rooms of `actors/` stand one above the other, and each uses only those below it: no circle, no arrow upwards.
//!
//! The table is the house's plan. Where this test fails, either the line that it names belongs in another room, or what it
//! uses belongs further down. `cargo test --test rooms -- --nocapture` prints how large files and functions are.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the ground.
const ROOMS: &[&str] = &[
    "cli",
    "bootstrap",
    "supervisor",
    "http",
    "operations",
    "cron",
    "pool",
    "app",
    "consumer",
    "rate",
    "delay_queue",
    "own_code",
    "reload",
    "alert",
    "orders",
    "source",
    "db",
    "store",
    "job",
    "membership",
    "settler",
    "config",
    "poison",
    "logs",
    "outage",
    "task",
    "state",
    "jsonc",
    "schedule",
    "address",
    "moment",
    "limits",
    "presence",
    "private",
    "drop_notice",
    "stop",
    "sleep",
    "workers",
    "backoff",
    "trace",
    "clock_watch",
    "clock",
];

/// Used by the tests of every room: what they share, and the servers that they start.
const OF_TESTS: &[&str] = &["testing_support", "servers"];

/// Tests of a room that need one above it, each with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "poison",
        "job",
        "a slot is marked by what runs in it, so its tests run a handler",
    ),
    (
        "source",
        "consumer",
        "what a source gives is tried with the loop that takes it",
    ),
    (
        "source",
        "orders",
        "the loop is made with the flag of its pause",
    ),
    (
        "source",
        "rate",
        "the loop is made with the limit of its entry",
    ),
    (
        "store",
        "db",
        "figures of a database are those of its only writer",
    ),
    (
        "rate",
        "consumer",
        "a limit is tried with the loop that keeps to it",
    ),
    (
        "address",
        "config",
        "addresses are read as the settings write them",
    ),
];

struct Source {
    /// Below `actors/`.
    path: PathBuf,
    text: String,
    /// All of it is compiled only for tests.
    is_test: bool,
}

impl Source {
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap();
        let first = first.as_os_str().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    }

    /// The lines that are part of the product, each with its number.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line));
        let is_test = self.is_test;
        // Modules of tests stand last in a file.
        lines.take_while(move |(number, line)| {
            let begins_tests = line.starts_with("#[cfg(test)]")
                && self.text.lines().nth(*number).is_some_and(|next| {
                    next.starts_with("mod tests {") || next.starts_with("mod testing {")
                });
            !is_test && !begins_tests
        })
    }
}

fn sources() -> Vec<Source> {
    let actors = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors");
    let mut found = Vec::new();
    let mut folders = vec![actors.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&actors).unwrap().to_owned();
                let is_test = is_test(&path);
                found.push(Source {
                    path,
                    text,
                    is_test,
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 300, "{}", found.len());
    found
}

fn is_test(path: &Path) -> bool {
    let names = path.iter().map(|name| name.to_str().unwrap());
    names.into_iter().any(|name| {
        let name = name.strip_suffix(".rs").unwrap_or(name);
        let whole = [
            "tests",
            "testing",
            "suite",
            "fuzzing",
            "properties",
            "figures",
        ];
        whole.contains(&name) || OF_TESTS.contains(&name)
    })
}

/// The rooms that a line of code names by `crate::ROOM`, or by the first names of `crate::{…}`.
fn rooms_of(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap();
    let mut named = Vec::new();
    for (at, crate_) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + crate_.len()..];
        let of_name = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group.split(',').map(|part| {
                let part = part.trim();
                &part[..of_name(part).unwrap_or(part.len())]
            })),
            None => named.push(&rest[..of_name(rest).unwrap_or(rest.len())]),
        }
    }
    named
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room)
}

#[test]
fn each_room_is_in_the_table_and_each_of_the_table_is_there() {
    let sources = sources();
    let mut rooms: Vec<String> = sources.iter().map(Source::room).collect();
    rooms.dedup();
    rooms.retain(|room| room != "lib" && !OF_TESTS.contains(&room.as_str()));
    let mut table: Vec<&str> = ROOMS.to_vec();
    table.sort_unstable();
    rooms.sort_unstable();
    rooms.dedup();
    assert_eq!(rooms, table);
}

#[test]
fn no_room_uses_one_above_it() {
    let mut upwards = Vec::new();
    let mut used_exceptions = vec![false; EXCEPTIONS.len()];
    for source in sources() {
        let room = source.room();
        let Some(here) = place(&room) else { continue };
        let product: Vec<usize> = source.product().map(|(number, _)| number).collect();
        for (number, line) in (1..).zip(source.text.lines()) {
            for used in rooms_of(line) {
                let Some(there) = place(used) else { continue };
                if there >= here {
                    continue;
                }
                let exception = EXCEPTIONS
                    .iter()
                    .position(|(from, to, _)| *from == room && *to == used);
                match exception {
                    Some(index) if !product.contains(&number) => used_exceptions[index] = true,
                    _ => upwards.push(format!(
                        "actors/{}:{number}: `{room}` uses `{used}`, which stands above it",
                        source.path.display()
                    )),
                }
            }
        }
    }
    assert_eq!(upwards.join("\n"), "");
    assert!(
        used_exceptions.iter().all(|used| *used),
        "an exception that nothing needs"
    );
}

#[test]
fn lines_that_name_rooms_are_read() {
    assert_eq!(rooms_of("use crate::db::Db;"), ["db"]);
    assert_eq!(rooms_of("use crate::{clock, db::Db};"), ["clock", "db"]);
    assert_eq!(
        rooms_of("    crate::store::adapter(x) // crate::cli::x"),
        ["store"]
    );
    assert_eq!(rooms_of("//! [`crate::cli`]"), [""; 0]);
    assert_eq!(rooms_of("$crate::job::run()"), ["job"]);
    assert_eq!(rooms_of("mycrate::job"), [""; 0]);
}

/// How large files and functions are; a reader's guide, printed and not judged but for one bound.
#[test]
fn no_file_is_longer_than_the_longest_that_is_known() {
    /// Lines without tests of the longest file today. To be lowered as files are split, never raised.
    const LONGEST: usize = 520;
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        let lines: Vec<&str> = source.product().map(|(_, line)| line).collect();
        files.push((lines.len(), source.path.display().to_string()));
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start();
            let begins = words.starts_with("fn ")
                || (words.starts_with("pub")
                    || words.starts_with("async ")
                    || words.starts_with("const "))
                    && words.contains("fn ");
            if begins && !words.ends_with(';') {
                open.insert(indent, number);
            }
            if words == "}"
                && let Some(begun) = open.remove(&indent)
            {
                functions.push(number - begun + 1);
            }
        }
    }
    files.sort_unstable();
    functions.sort_unstable();
    let lines: usize = files.iter().map(|(lines, _)| lines).sum();
    let longest = files.last().unwrap();
    println!(
        "{lines} lines in {} files (median {}, longest {} {}); {} functions (median {}, p90 {}, longest {})",
        files.len(),
        files[files.len() / 2].0,
        longest.0,
        longest.1,
        functions.len(),
        functions[functions.len() / 2],
        functions[functions.len() * 9 / 10],
        functions.last().unwrap(),
    );
    assert!(
        longest.0 <= LONGEST,
        "{} has {} lines",
        longest.1,
        longest.0
    );
}
