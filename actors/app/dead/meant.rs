//! Which letters an order means, how many those are, and whether the person means so many.

use std::io::{self, BufRead, IsTerminal, Write};

use super::group::{self, Group};
use crate::app::failure::{Failure, chain};
use crate::app::moment::shown;
use crate::app::print::print_error;
use crate::db::Reader;
use crate::db::rows::{LOOKED_AT_LETTERS, LetterFilter, LetterHead, Side};

/// What an order names.
#[derive(Debug, Clone, Default)]
pub(super) struct Meant {
    /// None: all that pass the filter.
    pub(super) ids: Vec<i64>,
    pub(super) filter: LetterFilter,
    pub(super) group: Option<Group>,
    /// No more than so many, the oldest.
    pub(super) limit: Option<u64>,
}

/// Whether the order was confirmed on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    NotYet,
}

/// How many letters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) letters: u64,
    /// They are all; else there may be more than were looked at.
    pub(super) is_all: bool,
}

impl Meant {
    /// With the group of that name, if one is named.
    pub(super) async fn with_group(
        mut self,
        reader: &dyn Reader,
        name: Option<String>,
    ) -> Result<Self, Failure> {
        let Some(name) = name else {
            return Ok(self);
        };
        let found = group::named(reader, &name, &self.filter).await;
        let found = found.map_err(|cause| Failure::failed(chain(&cause)))?;
        let found = found.map_err(Failure::misused)?;
        self.filter = found.narrow(&self.filter);
        self.group = Some(found);
        Ok(self)
    }

    /// Letters that are named need no question. All others are counted first; on a terminal the person says whether that
    /// many are meant. A script cannot be asked: it goes on with the letters of a filter, and needs `--yes` for all there are.
    ///
    /// `what` is done with them: `run 7 letters again`. Answers whether there is something to do.
    pub(super) async fn confirm(
        &self,
        reader: &dyn Reader,
        confirmed: Confirmed,
        (before, behind): (&str, &str),
    ) -> Result<bool, Failure> {
        if !self.ids.is_empty() || confirmed == Confirmed::Yes {
            return Ok(true);
        }
        let counted = self.count(reader).await?;
        if counted.letters == 0 && counted.is_all {
            return Ok(false);
        }
        let what = format!("{before} {}{behind}", self.describe(Some(counted)));
        if !io::stdin().is_terminal() {
            if self.is_narrowed() {
                print_error(&format!("this will {what}\n"));
                return Ok(true);
            }
            return Err(Failure::misused(format!(
                "this would {what}; say `--yes` if that is meant"
            )));
        }
        let question = format!("{what}? [y/N] ");
        match asked(&question, &mut io::stdin().lock(), &mut io::stderr()) {
            Ok(true) => Ok(true),
            Ok(false) => Err(Failure::failed("nothing was done")),
            Err(cause) => Err(Failure::failed(format!(
                "no answer, nothing was done: {cause}"
            ))),
        }
    }

    /// Whether letters are left out by what they are.
    fn is_narrowed(&self) -> bool {
        self.group.is_some() || self.filter != LetterFilter::default()
    }

    async fn count(&self, reader: &dyn Reader) -> Result<Counted, Failure> {
        let side = Side::of(&self.filter);
        let look = reader.letter_look(side, LOOKED_AT_LETTERS).await;
        let look = look.map_err(|cause| Failure::failed(chain(&cause)))?;
        let letters = look.letters.iter();
        let letters = letters.filter(|letter| self.filter.takes(letter) && self.takes(letter));
        let letters = u64::try_from(letters.count()).unwrap_or(u64::MAX);
        Ok(match self.limit {
            Some(limit) if letters >= limit => Counted {
                letters: limit,
                is_all: true,
            },
            _ => Counted {
                letters,
                is_all: look.is_all,
            },
        })
    }

    /// Whether a letter that passed the filter is of the group.
    pub(super) fn takes(&self, letter: &LetterHead) -> bool {
        let group = self.group.as_ref();
        group.is_none_or(|group| *group == Group::of(letter))
    }

    /// For people, and for `audit`.
    pub(super) fn describe(&self, counted: Option<Counted>) -> String {
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(i64::to_string).collect();
            return format!("dead letters {}", ids.join(", "));
        }
        let filter = &self.filter;
        let mut conditions = Vec::new();
        match &self.group {
            Some(group) => conditions.push(format!("of {}: {}", group.place(), group.error())),
            None => {
                let texts = [
                    ("of the name", &filter.name),
                    ("of kind", &filter.kind),
                    ("of handler", &filter.exec_cmd),
                ];
                let named = |(what, text): (&str, &Option<String>)| {
                    text.as_ref().map(|text| format!("{what} `{text}`"))
                };
                conditions.extend(texts.into_iter().filter_map(named));
            }
        }
        if let Some(error) = &filter.error {
            conditions.push(format!("with {error:?} in the error"));
        }
        conditions.extend(filter.since_ms.map(|ms| format!("since {}", shown(ms))));
        conditions.extend(filter.until_ms.map(|ms| format!("before {}", shown(ms))));
        let conditions: String = conditions.iter().map(|text| format!(" {text}")).collect();
        let Some(Counted { letters, is_all }) = counted else {
            let most = self.limit.map(|limit| format!(", {limit} at most"));
            return format!("dead letters{conditions}{}", most.unwrap_or_default());
        };
        let least = if is_all { "" } else { "at least " };
        match (conditions.as_str(), self.limit) {
            ("", None) => format!("all dead letters ({least}{letters})"),
            _ if letters == 1 => format!("{least}1 dead letter{conditions}"),
            _ => format!("{least}{letters} dead letters{conditions}"),
        }
    }
}

fn asked(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    write!(to, "{question}")?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, meant) in [
            ("y\n", true),
            (" YES \n", true),
            ("yes", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut shown = Vec::new();
            let yes = asked("all? ", &mut answer.as_bytes(), &mut shown).unwrap();
            assert_eq!(yes, meant, "{answer:?}");
            assert_eq!(shown, b"all? ");
        }
    }

    #[test]
    fn what_is_meant_is_said_with_how_many_there_are() {
        let counted = |letters, is_all| Some(Counted { letters, is_all });
        let named = LetterFilter {
            name: Some("orders".to_owned()),
            error: Some("refused".to_owned()),
            ..LetterFilter::default()
        };
        let of = |filter: &LetterFilter, ids: &[i64], limit| Meant {
            ids: ids.to_vec(),
            filter: filter.clone(),
            group: None,
            limit,
        };
        let all = LetterFilter::default();
        for (meant, counted, said) in [
            (of(&all, &[17, 18], None), None, "dead letters 17, 18"),
            (
                of(&all, &[], None),
                counted(1, true),
                "all dead letters (1)",
            ),
            (
                of(&all, &[], None),
                counted(20_000, false),
                "all dead letters (at least 20000)",
            ),
            (of(&all, &[], Some(7)), counted(7, true), "7 dead letters"),
            (of(&all, &[], Some(7)), None, "dead letters, 7 at most"),
            (
                of(&named, &[], None),
                counted(3, true),
                "3 dead letters of the name `orders` with \"refused\" in the error",
            ),
            (
                of(&named, &[], None),
                None,
                "dead letters of the name `orders` with \"refused\" in the error",
            ),
        ] {
            assert_eq!(meant.describe(counted), said);
        }
    }
}
