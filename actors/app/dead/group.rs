//! `dead group`: letters of the same error.
//!
//! Two letters are of one group when they died in the same place of errors that differ in numbers and ids alone. The letters
//! have no index by their error: groups are made of the letters at one end of the table, so that the answer takes no longer
//! with ten million of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::filter::FilterArgs;
use crate::app::failure::{Failure, chain};
use crate::app::moment::shown_in_line;
use crate::app::print::{one_line, print, print_error};
use crate::app::writer;
use crate::config::did_you_mean_met;
use crate::db::letters::KIND_DELAY;
use crate::db::rows::{DeadLetter, LOOKED_AT_LETTERS, LetterFilter, LetterHead, LetterLook, Side};
use crate::db::{DbError, Reader, Store};

/// Characters of an error that tell groups apart.
const SHAPE_CHARS: usize = 100;
/// Characters of an error of which those are made.
const ERROR_CHARS_LOOKED_AT: usize = 512;
/// Stands for a number or an id.
const ANY: char = '#';
/// Hexadecimal digits of a group's name: enough that no two of some thousand groups have the same.
const NAME_DIGITS: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct GroupArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many groups, the largest
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// What letters of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    kind: String,
    source: String,
    /// The queue entry; empty of delayed tasks, each of which may have a name of its own.
    entry: String,
    exec_cmd: String,
    shape: String,
}

impl Group {
    pub(super) fn of(letter: &LetterHead) -> Self {
        let place = [&letter.kind, &letter.source, &letter.name, &letter.exec_cmd];
        Self::of_parts(place.map(String::as_str), &letter.error)
    }

    pub(super) fn of_letter(letter: &DeadLetter) -> Self {
        let place = [&letter.kind, &letter.source, &letter.name, &letter.exec_cmd];
        Self::of_parts(place.map(String::as_str), &letter.error)
    }

    fn of_parts([kind, source, name, exec_cmd]: [&str; 4], error: &str) -> Self {
        let entry = if kind == KIND_DELAY { "" } else { name };
        let error: String = error.chars().take(ERROR_CHARS_LOOKED_AT).collect();
        Self {
            kind: kind.to_owned(),
            source: source.to_owned(),
            entry: entry.to_owned(),
            exec_cmd: exec_cmd.to_owned(),
            shape: shape(&error),
        }
    }

    /// The same on every machine and in every release: it is made of what the group is.
    pub(super) fn name(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            &self.kind,
            &self.source,
            &self.entry,
            &self.exec_cmd,
            &self.shape,
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.chars().take(NAME_DIGITS).collect()
    }

    /// The filter, such that the database leaves out most letters of other groups.
    pub(super) fn narrow(&self, filter: &LetterFilter) -> LetterFilter {
        LetterFilter {
            kind: Some(self.kind.clone()),
            source: Some(self.source.clone()),
            exec_cmd: Some(self.exec_cmd.clone()),
            name: match self.entry.as_str() {
                "" => filter.name.clone(),
                entry => Some(entry.to_owned()),
            },
            error_like: Some(pattern(&self.shape)),
            ..filter.clone()
        }
    }

    /// Where they died, for people.
    pub(super) fn place(&self) -> String {
        match self.kind.as_str() {
            KIND_DELAY => format!("delayed task `{}`", self.exec_cmd),
            _ => format!("queue `{}` (`{}`)", self.entry, self.exec_cmd),
        }
    }

    pub(super) fn error(&self) -> &str {
        &self.shape
    }
}

/// The beginning of an error, with a sign for each number and id in it: a UUID, or a word with a digit in it. Such words that
/// only `-`, `.`, `:`, `/`, `,` or `+` stand between are one, as in times and addresses.
fn shape(error: &str) -> String {
    let mut shape = String::new();
    let mut chars = 0;
    let mut rest = error.trim();
    while let Some(first) = rest.chars().next() {
        if chars >= SHAPE_CHARS {
            break;
        }
        let end = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
            0 => first.len_utf8(),
            _ if is_uuid(rest) => UUID_CHARS,
            end => end,
        };
        let (part, behind) = rest.split_at(end);
        rest = behind;
        if !is_word(first) {
            shape.push(first);
            chars += 1;
        } else if !part.bytes().any(|byte| byte.is_ascii_digit()) {
            let room = SHAPE_CHARS - chars;
            shape.extend(part.chars().take(room));
            chars += part.len().min(room);
        } else if joins(&shape) {
            shape.pop();
            chars -= 1;
        } else {
            shape.push(ANY);
            chars += 1;
        }
    }
    shape
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const UUID_CHARS: usize = 36;

/// Whether the text begins with a UUID. A part of one may have no digit.
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.as_bytes().get(..UUID_CHARS) else {
        return false;
    };
    let of_uuid = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let goes_on = text.as_bytes().get(UUID_CHARS).copied().map(char::from);
    uuid.iter().enumerate().all(of_uuid)
        && uuid.iter().any(u8::is_ascii_digit)
        && !goes_on.is_some_and(is_word)
}

/// Whether an id behind this belongs to the one at its end.
fn joins(shape: &str) -> bool {
    let before = shape.strip_suffix(['-', '.', ':', '/', ',', '+']);
    before.is_some_and(|before| before.ends_with(ANY))
}

/// For `error LIKE … ESCAPE '!'`: all errors of that shape, and some others.
fn pattern(shape: &str) -> String {
    let mut pattern = String::new();
    for c in shape.chars() {
        match c {
            ANY => pattern.push('%'),
            '!' | '%' | '_' => pattern.extend(['!', c]),
            c => pattern.push(c),
        }
    }
    format!("%{pattern}%")
}

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Size {
    letters: u64,
    first_ms: i64,
    last_ms: i64,
}

fn groups(letters: &[LetterHead]) -> Vec<(Group, Size)> {
    let mut groups: BTreeMap<Group, Size> = BTreeMap::new();
    for letter in letters {
        let size = groups.entry(Group::of(letter)).or_insert(Size {
            letters: 0,
            first_ms: letter.died_ms,
            last_ms: letter.died_ms,
        });
        size.letters += 1;
        size.first_ms = size.first_ms.min(letter.died_ms);
        size.last_ms = size.last_ms.max(letter.died_ms);
    }
    let mut groups: Vec<(Group, Size)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, size)| Reverse((size.letters, size.last_ms)));
    groups
}

/// The group of that name, among the letters that pass the filter.
pub(super) async fn named(
    reader: &dyn Reader,
    name: &str,
    filter: &LetterFilter,
) -> Result<Result<Group, String>, DbError> {
    let side = Side::of(filter);
    let look = reader.letter_look(side, LOOKED_AT_LETTERS).await?;
    let letters = look.letters.iter().filter(|letter| filter.takes(letter));
    let groups: BTreeSet<Group> = letters.map(Group::of).collect();
    let found = groups.iter().find(|group| group.name() == name);
    Ok(found.cloned().ok_or_else(|| {
        let names = groups.iter().map(Group::name).collect();
        let hint = did_you_mean_met(name, &names);
        let among = among(&look, side);
        format!("no letter{among} is of group `{name}`{hint}; `dead group` shows which there are")
    }))
}

/// Where only a part of the letters was looked at: which.
fn among(look: &LetterLook, side: Side) -> String {
    match (look.is_all, side) {
        (true, _) => String::new(),
        (false, Side::Newest) => format!(" of the newest {LOOKED_AT_LETTERS}"),
        (false, Side::Oldest) => format!(" of the oldest {LOOKED_AT_LETTERS}"),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    group: String,
    letters: u64,
    /// Whether there may be more letters of it than were looked at.
    at_least: bool,
    kind: &'a str,
    source: &'a str,
    name: &'a str,
    exec_cmd: &'a str,
    error: &'a str,
    first_ms: i64,
    last_ms: i64,
}

pub(super) fn group(store: &Arc<dyn Store>, args: GroupArgs) -> Result<ExitCode, Failure> {
    let GroupArgs {
        filter,
        limit,
        json,
    } = args;
    let (reader, filter) = (store.reader(), filter.filter());
    let side = Side::of(&filter);
    let look = writer::in_system(async move { reader.letter_look(side, LOOKED_AT_LETTERS).await });
    let mut look = look.map_err(|cause| Failure::failed(chain(&cause)))?;
    look.letters.retain(|letter| filter.takes(letter));
    let groups = groups(&look.letters);
    let mut text = String::new();
    for (group, size) in groups.iter().take(limit) {
        text += &match json {
            true => serde_json::to_string(&Shown {
                group: group.name(),
                letters: size.letters,
                at_least: !look.is_all,
                kind: &group.kind,
                source: &group.source,
                name: &group.entry,
                exec_cmd: &group.exec_cmd,
                error: &group.shape,
                first_ms: size.first_ms,
                last_ms: size.last_ms,
            })
            .map_err(Failure::failed)?,
            false => line(group, size, look.is_all),
        };
        text.push('\n');
    }
    if groups.is_empty() && !json {
        text = "no dead letters\n".to_owned();
    }
    print(&text)?;
    let mut remarks = String::new();
    if !look.is_all {
        remarks += &format!(
            "there are more dead letters; these are the groups{}\n",
            among(&look, side)
        );
    }
    if groups.len() > limit && !json {
        remarks += &format!("there are {} groups; `--limit` is {limit}\n", groups.len());
    }
    print_error(&remarks);
    Ok(ExitCode::SUCCESS)
}

fn line(group: &Group, size: &Size, is_all: bool) -> String {
    let times = match size.letters {
        1 => shown_in_line(size.last_ms),
        _ => format!(
            "{} to {}",
            shown_in_line(size.first_ms),
            shown_in_line(size.last_ms)
        ),
    };
    one_line(&format!(
        "{}  {}  {times}  {}: {}",
        group.name(),
        count(size.letters, is_all),
        group.place(),
        group.shape
    ))
}

/// How many letters, or how many at least.
fn count(letters: u64, is_all: bool) -> String {
    let at_least = if is_all { "" } else { "at least " };
    match letters {
        1 => format!("{at_least}1 letter"),
        n => format!("{at_least}{n} letters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(kind: &str, name: &str, error: &str, died_ms: i64) -> LetterHead {
        LetterHead {
            id: died_ms,
            kind: kind.to_owned(),
            source: "s".to_owned(),
            name: name.to_owned(),
            exec_cmd: "ship".to_owned(),
            partition: "script1".to_owned(),
            error: error.to_owned(),
            died_ms,
        }
    }

    #[test]
    fn errors_that_differ_in_numbers_and_ids_alone_have_one_shape() {
        for (errors, expected) in [
            (
                &[
                    "connect to 10.0.0.7:5432 failed after 3 tries",
                    "connect to 192.168.17.1:1 failed after 12 tries",
                ][..],
                "connect to # failed after # tries",
            ),
            (
                &[
                    "order 3f2b1c00-aaaa-4bbb-8ccc-0123456789ab is gone",
                    "order 00000000-1111-2222-3333-444444444444 is gone",
                    "order ord_7Kx is gone",
                ],
                "order # is gone",
            ),
            (
                &[
                    "at 2026-01-31T08:30:00.123Z: 0xdeadbeef1",
                    "at 2025-12-01T00:00:00Z: 7",
                ],
                "at #: #",
            ),
            (&["订单 17 不存在", "订单 4711 不存在"], "订单 # 不存在"),
            (&["订单17不存在", "订单4不存在"], "订单#不存在"),
            (&["  timed out\n", "timed out"], "timed out"),
            (&["took 1.5 s, 2 left"], "took # s, # left"),
            (&[""], ""),
        ] {
            for error in errors {
                assert_eq!(shape(error), expected, "{error}");
            }
        }
        let long = |id: &str| format!("{id} {}", "word ".repeat(99));
        assert_eq!(shape(&long("1")), shape(&long("4711-0815")));
        assert_eq!(shape(&long("1")).chars().count(), SHAPE_CHARS);
        assert_eq!(shape(&"测".repeat(300)).chars().count(), SHAPE_CHARS);
        assert_eq!(shape(&"a".repeat(300)).chars().count(), SHAPE_CHARS);
    }

    #[test]
    fn a_uuid_is_one_id_whatever_its_parts_are() {
        let ids = [
            "3f2b1c00-abcd-4bbb-8ccc-0123456789ab",
            "abcdefab-1111-2222-3333-444444444444",
        ];
        for id in ids {
            assert_eq!(
                shape(&format!("order {id} is gone")),
                "order # is gone",
                "{id}"
            );
        }
        assert_eq!(shape("no-such-file 7"), "no-such-file #");
        let longer = "3f2b1c00-abcd-4bbb-8ccc-0123456789abc";
        assert_eq!(shape(longer), "#-abcd-#", "which is none");
        assert_eq!(
            shape("3f2b1c00-测试测试测试测试测试测试测试测试测试"),
            "#-测试测试测试测试测试测试测试测试测试"
        );
    }

    #[test]
    fn a_pattern_takes_each_error_of_its_shape() {
        assert_eq!(pattern("50%_! of #"), "%50!%!_!! of %%");
    }

    #[test]
    fn letters_are_grouped_by_where_they_died_and_of_what() {
        let letters = [
            letter("queue", "orders", "no 7", 30),
            letter("queue", "orders", "no 8", 10),
            letter("queue", "bills", "no 7", 20),
            letter("delay", "bill 17", "no 7", 5),
            letter("delay", "bill 18", "no 9", 6),
            letter("delay", "bill 18", "gone", 7),
        ];
        let groups = groups(&letters);
        let sizes: Vec<u64> = groups.iter().map(|(_, size)| size.letters).collect();
        assert_eq!(sizes, [2, 2, 1, 1]);
        let (group, size) = &groups[0];
        assert_eq!((size.first_ms, size.last_ms), (10, 30));
        assert_eq!(
            (group.place().as_str(), group.error()),
            ("queue `orders` (`ship`)", "no #")
        );
        assert_eq!(groups[1].0.place(), "delayed task `ship`");
        let names: BTreeSet<String> = groups.iter().map(|(group, _)| group.name()).collect();
        assert_eq!(names.len(), 4);
        assert_eq!(groups[0].0.name(), Group::of(&letters[1]).name());
        assert!(names.iter().all(|name| name.len() == NAME_DIGITS));
    }

    #[test]
    fn a_line_says_at_least_where_not_all_letters_were_looked_at() {
        let letters = [
            letter("queue", "orders", "no\n7", 0),
            letter("queue", "orders", "no\n8", 1),
        ];
        let (group, size) = groups(&letters).remove(0);
        let all = line(&group, &size, true);
        assert!(
            all.contains("  2 letters  ") && all.ends_with(": no\\n#"),
            "{all}"
        );
        assert!(line(&group, &size, false).contains("  at least 2 letters  "));
    }
}
