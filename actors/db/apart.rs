//! A write that is refused as a whole for one of its parts: it is made again with each part apart, and what is refused of
//! it is left out. One row that cannot be claimed must not stop its queue, and a table that is there for people must not
//! keep a run from ending.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::write::Most;

/// How a write is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::db) enum Manner {
    /// All of it or nothing.
    #[default]
    Whole,
    /// Each part behind a savepoint. This costs a statement or two for each, so it is for what was refused as a whole.
    Apart,
}

/// So many statements of one claim may be tried, which bounds how long its transaction takes. Rows that are refused lie at
/// the head of their queue and are met by each claim.
const MOST_TRIES: u32 = 500;

/// A line in the log at most so often: the rows are met by each claim.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// A claim in pieces. One that is refused is halved until its single row is the reason; that one is left as it is, and the
/// claim goes on behind it.
#[derive(Debug)]
pub(in crate::db) struct Pieces {
    left: Most,
    size: u32,
    /// Rows at the head that cannot be claimed.
    skipped: u32,
    tries: u32,
    why: Option<String>,
}

impl Pieces {
    pub(in crate::db) fn new(most: Most) -> Self {
        Self {
            left: most,
            // The whole has been refused.
            size: (most.count / 2).max(1),
            skipped: 0,
            tries: 0,
            why: None,
        }
    }

    /// The next piece, and how many rows before it are left out.
    pub(in crate::db) fn next(&mut self) -> Option<(Most, u32)> {
        self.tries += 1;
        let goes_on = self.left.count > 0 && self.left.bytes > 0 && self.tries <= MOST_TRIES;
        let piece = Most {
            count: self.size.min(self.left.count),
            ..self.left
        };
        goes_on.then_some((piece, self.skipped))
    }

    /// So many rows were claimed, with so many bytes. Fewer than asked for: there are no more.
    pub(in crate::db) fn took(&mut self, rows: usize, bytes: usize) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let asked = self.size.min(self.left.count);
        self.left.count = match rows < asked {
            true => 0,
            false => self.left.count.saturating_sub(rows),
        };
        self.left.bytes = self.left.bytes.saturating_sub(bytes);
        self.size = self.size.saturating_mul(2);
    }

    pub(in crate::db) fn refused(&mut self, why: String) {
        match self.size.min(self.left.count) {
            0 | 1 => {
                self.skipped += 1;
                self.why = Some(why);
            }
            several => self.size = several / 2,
        }
    }

    /// Says once in a while which rows stay where they are.
    pub(in crate::db) fn report(&self, of: &str) {
        let Some(why) = &self.why else {
            return;
        };
        static LAST: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());
        let Ok(mut last) = LAST.lock() else {
            return;
        };
        last.retain(|(_, at)| at.elapsed() < LINE_INTERVAL);
        if last.iter().any(|(name, _)| name == of) {
            return;
        }
        last.push((of.to_owned(), Instant::now()));
        log::error!(
            "{of}: {} that are due cannot be claimed and stay as they are, the others go on: {why}",
            self.skipped
        );
    }
}

/// A claim that leaves out so many rows before those it takes; `limit` is how it says how many.
pub(in crate::db) fn behind(claim: &'static str, limit: &str, skipped: u32) -> Cow<'static, str> {
    match skipped {
        0 => claim.into(),
        skipped => claim
            .replace(limit, &format!("{limit} OFFSET {skipped}"))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is claimed of rows, each of which may be claimed or not.
    fn claimed(rows: &[bool], count: u32) -> (Vec<usize>, u32) {
        let mut waiting: Vec<usize> = (0..rows.len()).collect();
        let mut pieces = Pieces::new(Most { count, bytes: 1000 });
        let mut claimed = Vec::new();
        while let Some((piece, skipped)) = pieces.next() {
            let from = (skipped as usize).min(waiting.len());
            let until = (from + piece.count as usize).min(waiting.len());
            if waiting[from..until].iter().all(|row| rows[*row]) {
                let taken: Vec<usize> = waiting.drain(from..until).collect();
                pieces.took(taken.len(), taken.len());
                claimed.extend(taken);
            } else {
                pieces.refused(String::new());
            }
        }
        (claimed, pieces.skipped)
    }

    #[test]
    fn rows_that_are_refused_are_left_out_wherever_they_are() {
        let good = |n: &usize| ![0, 1, 7, 40].contains(n);
        let rows: Vec<bool> = (0..50).map(|n| good(&n)).collect();
        let all: Vec<usize> = (0..50).filter(good).collect();
        assert_eq!(claimed(&rows, 100), (all.clone(), 4), "more than there are");
        assert_eq!(claimed(&rows, 46).0, all);
        assert_eq!(claimed(&rows, 1), (vec![2], 2));
        assert_eq!(claimed(&[false; 3], 10), (vec![], 3), "none");
    }

    #[test]
    fn a_claim_in_pieces_keeps_its_bytes() {
        let mut pieces = Pieces::new(Most {
            count: 8,
            bytes: 10,
        });
        assert_eq!(
            pieces.next(),
            Some((
                Most {
                    count: 4,
                    bytes: 10
                },
                0
            ))
        );
        pieces.took(4, 7);
        assert_eq!(pieces.next(), Some((Most { count: 4, bytes: 3 }, 0)));
        pieces.took(1, 5);
        assert_eq!(pieces.next(), None);
    }
}
