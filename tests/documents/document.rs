//! A document, cut into what its lines are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Default)]
pub(crate) struct Document {
    /// Its path from the root.
    pub(crate) name: String,
    pub(crate) headings: Vec<Heading>,
    pub(crate) blocks: Vec<Block>,
    /// Rows and columns of each table.
    pub(crate) tables: Vec<(usize, usize)>,
    /// Points of lists.
    pub(crate) items: usize,
    /// Where relative links lead to, as they are written.
    pub(crate) links: Vec<String>,
    /// Pictures, each on a line of its own.
    pub(crate) pictures: Vec<Picture>,
    /// Everything else, with its number.
    prose: Vec<(usize, String)>,
}

pub(crate) struct Heading {
    level: usize,
    pub(crate) text: String,
    /// The code in the prose, the tables and the headings of the section, without the backticks.
    pub(crate) names: BTreeSet<String>,
}

pub(crate) struct Picture {
    /// From the document's folder.
    pub(crate) path: String,
    /// What is read in its place.
    pub(crate) words: String,
}

/// A block of code.
pub(crate) struct Block {
    pub(crate) line: usize,
    /// What stands behind the opening fence: `json queue`.
    pub(crate) kind: String,
    /// Between the fences, without the blanks that they are indented by.
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut document = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut block: Option<(usize, Block)> = None;
        let mut last = "";
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let fence = line.trim_start().strip_prefix("```");
            let fence = fence.filter(|_| !line.contains("`` "));
            match (&mut block, fence) {
                (None, Some(kind)) => {
                    let indent = line.len() - line.trim_start().len();
                    let (kind, text) = (kind.to_owned(), String::new());
                    let line = number;
                    block = Some((indent, Block { line, kind, text }));
                }
                (Some(_), Some(_)) => document.blocks.extend(block.take().map(|(_, block)| block)),
                (Some((indent, block)), None) => {
                    block.text.push_str(line.get(*indent..).unwrap_or(""));
                    block.text.push('\n');
                }
                (None, None) => document.line(number, line, last),
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
        } else if let Some((words, path)) = picture(line) {
            let (path, words) = (path.to_owned(), words.to_owned());
            self.pictures.push(Picture { path, words });
            return;
        } else {
            self.items += usize::from(starts_item(line));
        }
        let names = line.split('`').skip(1).step_by(2);
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        self.headings.last_mut().unwrap().names.extend(names);
        // A link's words may be code; what looks like one inside of code is none.
        let outside = without_code(line);
        let links = outside.split("](").skip(1);
        let links = links.filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
        let relative = links.filter(|link| !link.contains("://"));
        self.links.extend(relative.map(str::to_owned));
        self.prose.push((number, line.to_owned()));
    }

    pub(crate) fn levels(&self) -> Vec<usize> {
        self.headings.iter().map(|heading| heading.level).collect()
    }

    /// Blocks of code, as they stand there.
    pub(crate) fn code(&self) -> Vec<(&str, &str)> {
        let blocks = self.blocks.iter();
        blocks.map(|block| (&*block.kind, &*block.text)).collect()
    }

    /// Lines that go on in the middle of a paragraph.
    pub(crate) fn wrapped(&self) -> Vec<String> {
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
}

/// What is read in place of the picture that the line is, and where the picture lies.
fn picture(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("![")?.strip_suffix(')')?.split_once("](")
}

/// A point or number of a list, wherever it stands.
fn starts_item(line: &str) -> bool {
    let line = line.trim_start();
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ") || (after_number.len() < line.len() && after_number.starts_with(". "))
}

/// The line with nothing between its backticks.
fn without_code(line: &str) -> String {
    let parts = line.split('`').step_by(2);
    parts.collect::<Vec<_>>().join("``")
}

/// As GitHub and mdBook make it of a heading: letters, digits, `-` and `_` are kept, blanks become `-`.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let kept: String = heading.chars().filter(kept).collect();
    kept.to_lowercase().replace(' ', "-")
}
