//! Which dead letters an order means, and how many those are.

use super::group::{self, Group};
use crate::moment::shown;
use crate::store::rows::{DeadLetterFilter, DeadLetterHead, DeadLetterScan, SCANNED_LETTERS, Side};
use crate::store::{DbError, Reader};

/// What an order names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meant {
    /// None: all that pass the filter.
    pub(crate) ids: Vec<i64>,
    pub(crate) filter: DeadLetterFilter,
    pub(crate) group: Option<Group>,
    /// No more than this many, the oldest.
    pub(crate) limit: Option<u64>,
    /// How many of the group the scan that found it has seen.
    pub(crate) seen: Option<Counted>,
}

/// How many dead letters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) dead_letters: u64,
    /// They are all; else there may be more than were read.
    pub(crate) is_all: bool,
}

/// At the end of the table where dead letters that pass the filter are to be expected.
async fn scan(reader: &dyn Reader, filter: &DeadLetterFilter) -> Result<DeadLetterScan, DbError> {
    let side = Side::of(filter);
    reader.dead_letter_scan(side, SCANNED_LETTERS).await
}

impl Meant {
    /// With the group of that name, if one is named; or why there is none.
    pub(crate) async fn with_group(
        mut self,
        reader: &dyn Reader,
        name: Option<String>,
    ) -> Result<Result<Self, String>, DbError> {
        let Some(name) = name else {
            return Ok(Ok(self));
        };
        let scan = scan(reader, &self.filter).await?;
        Ok(group::named(&scan, &name, &self.filter).map(|found| {
            self.filter = found.narrow(&self.filter);
            self.group = Some(found);
            self.seen = Some(self.count_in(&scan));
            self
        }))
    }

    /// Whether dead letters are left out by what they are.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.group.is_some() || self.filter != DeadLetterFilter::default()
    }

    /// Looks at one end of the table alone.
    pub(crate) async fn count(&self, reader: &dyn Reader) -> Result<Counted, DbError> {
        let seen = match self.seen {
            Some(seen) => seen,
            None => self.count_in(&scan(reader, &self.filter).await?),
        };
        Ok(match self.limit {
            Some(limit) if seen.dead_letters >= limit => Counted {
                dead_letters: limit,
                is_all: true,
            },
            _ => seen,
        })
    }

    /// Whatever the limit.
    fn count_in(&self, scan: &DeadLetterScan) -> Counted {
        let dead_letters = scan.dead_letters.iter();
        let dead_letters = dead_letters
            .filter(|dead_letter| self.filter.takes(dead_letter) && self.takes(dead_letter));
        Counted {
            dead_letters: u64::try_from(dead_letters.count()).unwrap_or(u64::MAX),
            is_all: scan.is_all,
        }
    }

    /// Whether a dead letter that passed the filter is of the group.
    pub(crate) fn takes(&self, dead_letter: &DeadLetterHead) -> bool {
        let group = self.group.as_ref();
        group.is_none_or(|group| *group == Group::of(dead_letter))
    }

    /// For people, and for `audit`.
    pub(crate) fn describe(&self, counted: Option<Counted>) -> String {
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
                    ("from", &filter.source),
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
        let Some(Counted {
            dead_letters,
            is_all,
        }) = counted
        else {
            let most = self.limit.map(|limit| format!(", {limit} at most"));
            return format!("dead letters{conditions}{}", most.unwrap_or_default());
        };
        let least = if is_all { "" } else { "at least " };
        match (conditions.as_str(), self.limit) {
            ("", None) => format!("all dead letters ({least}{dead_letters})"),
            _ if dead_letters == 1 => format!("{least}1 dead letter{conditions}"),
            _ => format!("{least}{dead_letters} dead letters{conditions}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_reported_with_how_many_there_are() {
        let counted = |dead_letters, is_all| {
            Some(Counted {
                dead_letters,
                is_all,
            })
        };
        let named = DeadLetterFilter {
            name: Some("orders".to_owned()),
            error: Some("refused".to_owned()),
            ..DeadLetterFilter::default()
        };
        let of = |filter: &DeadLetterFilter, ids: &[i64], limit| Meant {
            ids: ids.to_vec(),
            filter: filter.clone(),
            limit,
            ..Meant::default()
        };
        let all = DeadLetterFilter::default();
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
