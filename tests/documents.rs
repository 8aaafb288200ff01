//! The documents in English and in Chinese say the same, as far as a program can see, and the links in them lead somewhere.
//!
//! Chinese paragraphs are one line each: a line break in one is shown as a blank between two characters.

#![expect(clippy::unwrap_used, reason = "a test without its files fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// English, Chinese.
const PAIRS: [(&str, &str); 2] = [
    ("README.md", "README.zh-CN.md"),
    ("MIGRATING.md", "MIGRATING.zh-CN.md"),
];

/// A document, cut into what its lines are.
#[derive(Default)]
struct Document {
    name: &'static str,
    headings: Vec<Heading>,
    /// Blocks of code, as they stand there.
    code: Vec<String>,
    /// Rows and columns of each table.
    tables: Vec<(usize, usize)>,
    items: usize,
    /// Everything else, with its number.
    prose: Vec<(usize, String)>,
}

struct Heading {
    level: usize,
    text: String,
    /// The code in the prose, the tables and the headings of the section, without the backticks.
    names: BTreeSet<String>,
}

impl Document {
    fn read(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(path).unwrap();
        let mut document = Self {
            name,
            ..Self::default()
        };
        let mut block: Option<String> = None;
        let mut last = "";
        for (number, line) in text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```") && !line.contains("`` ");
            match (&mut block, is_fence) {
                (None, true) => block = Some(format!("{line}\n")),
                (Some(code), is_end) => {
                    code.push_str(line);
                    code.push('\n');
                    if is_end {
                        document.code.extend(block.take());
                    }
                }
                (None, false) => document.line(number + 1, line, last),
            }
            last = line;
        }
        assert!(block.is_none(), "{name}: a block of code without its end");
        document
    }

    fn line(&mut self, number: usize, line: &str, last: &str) {
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if level > 0 {
            self.headings.push(Heading {
                level,
                text: line[level..].trim().to_owned(),
                names: BTreeSet::new(),
            });
        } else if line.starts_with('|') {
            let columns = line.replace("\\|", "").matches('|').count() - 1;
            match self.tables.last_mut().filter(|_| last.starts_with('|')) {
                Some((rows, _)) => *rows += 1,
                None => self.tables.push((1, columns)),
            }
        } else {
            self.items += usize::from(starts_item(line));
        }
        let names = line.split('`').skip(1).step_by(2);
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        self.headings.last_mut().unwrap().names.extend(names);
        self.prose.push((number, line.to_owned()));
    }

    fn levels(&self) -> Vec<usize> {
        self.headings.iter().map(|heading| heading.level).collect()
    }

    /// Lines that go on in the middle of a paragraph.
    fn wrapped(&self) -> Vec<String> {
        let pairs = self.prose.windows(2);
        let goes_on = |(first, second): (&(usize, String), &(usize, String))| {
            let begins_anew = |line: &str| {
                let line = line.trim_start();
                line.is_empty() || line.starts_with(['#', '|', '>']) || starts_item(line)
            };
            let is_next = first.0 + 1 == second.0;
            is_next
                && !first.1.trim().is_empty()
                && !first.1.starts_with('|')
                && !begins_anew(&second.1)
        };
        pairs
            .filter(|pair| goes_on((&pair[0], &pair[1])))
            .map(|pair| format!("{}:{}: {}", self.name, pair[1].0, pair[1].1))
            .collect()
    }

    /// Links into this document for which it has no heading.
    fn dead_links(&self) -> Vec<String> {
        let anchors: BTreeSet<String> = self.headings.iter().map(|h| anchor(&h.text)).collect();
        let lines = self
            .prose
            .iter()
            .flat_map(|(_, line)| line.split("](#").skip(1));
        let links = lines.filter_map(|rest| rest.split(')').next());
        links
            .filter(|link| !anchors.contains(*link))
            .map(|link| format!("{}: #{link}", self.name))
            .collect()
    }
}

/// A point or number of a list, wherever it stands.
fn starts_item(line: &str) -> bool {
    let line = line.trim_start();
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ") || (after_number.len() < line.len() && after_number.starts_with(". "))
}

/// As GitHub makes it of a heading: letters, digits, `-` and `_` are kept, blanks become `-`.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let kept: String = heading.chars().filter(kept).collect();
    kept.to_lowercase().replace(' ', "-")
}

fn pairs() -> [(Document, Document); 2] {
    PAIRS.map(|(english, chinese)| (Document::read(english), Document::read(chinese)))
}

#[test]
fn both_languages_have_the_same_headings_tables_lists_and_code() {
    for (english, chinese) in pairs() {
        let names = (english.name, chinese.name);
        assert_eq!(english.levels(), chinese.levels(), "{names:?}: headings");
        assert_eq!(english.tables, chinese.tables, "{names:?}: tables");
        assert_eq!(english.items, chinese.items, "{names:?}: points of lists");
        assert_eq!(english.code, chinese.code, "{names:?}: blocks of code");
        assert!(
            english.headings.len() > 10 && english.code.len() > 10,
            "{names:?}"
        );
    }
}

/// A key, command or value that one of them lacks is a fact that it lacks.
#[test]
fn each_section_names_the_same_keys_and_values_in_both_languages() {
    let chinese_name = |name: &String| match PAIRS.iter().find(|(english, _)| english == name) {
        Some((_, chinese)) => (*chinese).to_owned(),
        None => name.clone(),
    };
    let mut missing = Vec::new();
    for (english, chinese) in pairs() {
        for (here, there) in english.headings.iter().zip(&chinese.headings) {
            let here_names: BTreeSet<String> = here.names.iter().map(chinese_name).collect();
            let sides = [
                (english.name, here_names.difference(&there.names)),
                (chinese.name, there.names.difference(&here_names)),
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
fn links_within_a_document_lead_to_a_heading() {
    let dead = |document: &Document| document.dead_links();
    let dead: Vec<String> = pairs()
        .iter()
        .flat_map(|(english, chinese)| [dead(english), dead(chinese)].concat())
        .collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
