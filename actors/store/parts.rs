//! A write that is refused as a whole for one of its parts: it is made again part by part, and what is refused of it is
//! left out. One row that cannot be claimed must not stop its queue, one that cannot be released no takeover, and
//! a table that is there for people must not keep a run from ending.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::write::Most;

/// How a write is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) enum Manner {
    /// All of it or nothing.
    #[default]
    Whole,
    /// Each part behind a savepoint. This costs a statement or two for each, so it is for what was refused as a whole.
    ByParts,
}

/// The longest that a claim in chunks takes: others wait for its transaction. The next claim goes on.
const LONGEST: Duration = Duration::from_secs(1);

/// How long a row that cannot be claimed is left out: it lies at the head of its queue, and each claim would meet it.
const LEFT_OUT_FOR: Duration = Duration::from_secs(300);
/// The most such rows of one queue: their numbers stand in each claim.
const MOST_LEFT_OUT: usize = 2_000;

/// Time from one line in the log about a table or queue to the next.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// A row is left as it is. Says so once in a while.
pub(in crate::store) fn left_out(of: &str, id: i64, why: &str) {
    static LAST: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());
    let mut last = LAST.lock();
    last.retain(|(_, at)| at.elapsed() < LINE_INTERVAL);
    if last.iter().any(|(name, _)| name == of) {
        return;
    }
    last.push((of.to_owned(), Instant::now()));
    log::error!(
        "{of}: row {id} is refused and stays as it is, as may be others; those that are not refused go on: {why}"
    );
}

/// Rows that could not be claimed, of each queue, for as long as they are left out.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Unclaimable(Arc<Mutex<HashMap<String, Rows>>>);

type Rows = Vec<(i64, Instant)>;

impl Unclaimable {
    pub(in crate::store) fn of(&self, queue: &str) -> Vec<i64> {
        let mut queues = self.0.lock();
        let Some(rows) = queues.get_mut(queue) else {
            return Vec::new();
        };
        rows.retain(|(_, since)| since.elapsed() < LEFT_OUT_FOR);
        rows.iter().map(|(id, _)| *id).collect()
    }

    fn note(&self, queue: &str, id: i64) {
        let mut queues = self.0.lock();
        let rows = queues.entry(queue.to_owned()).or_default();
        if rows.len() >= MOST_LEFT_OUT {
            rows.remove(0);
        }
        rows.push((id, Instant::now()));
    }
}

/// A claim in chunks. One that is refused is halved until its single row is the reason; that one is left out, and the claim
/// goes on behind it.
#[derive(Debug)]
pub(in crate::store) struct Chunks<'a> {
    queue: &'a str,
    unclaimable: Unclaimable,
    left: Most,
    size: u32,
    begun: Instant,
}

impl<'a> Chunks<'a> {
    pub(in crate::store) fn new(queue: &'a str, unclaimable: &Unclaimable, most: Most) -> Self {
        Self {
            queue,
            unclaimable: unclaimable.clone(),
            left: most,
            // The whole has been refused.
            size: (most.count / 2).max(1),
            begun: Instant::now(),
        }
    }

    /// The next chunk, and the rows that are not to be in it.
    pub(in crate::store) fn next(&self) -> Option<(Most, Vec<i64>)> {
        let goes_on = self.left.count > 0 && self.left.bytes > 0 && self.begun.elapsed() < LONGEST;
        let chunk = Most {
            count: self.size.min(self.left.count),
            ..self.left
        };
        goes_on.then(|| (chunk, self.unclaimable.of(self.queue)))
    }

    /// Notes how many rows were claimed, with how many bytes. Fewer than asked for: there are no more.
    pub(in crate::store) fn took(&mut self, rows: usize, bytes: usize) {
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

    /// The chunk was refused. Whether it was a single row, which is to be left out.
    pub(in crate::store) fn refused(&mut self) -> bool {
        match self.size.min(self.left.count) {
            0 | 1 => true,
            several => {
                self.size = several / 2;
                false
            }
        }
    }

    /// The row that was refused alone; none where it is not found any more.
    pub(in crate::store) fn leave_out(&mut self, id: Option<i64>, why: &str) {
        match id {
            Some(id) => {
                self.unclaimable.note(self.queue, id);
                left_out(self.queue, id, why);
            }
            None => self.left.count = 0,
        }
    }
}

/// A claim of other rows than these.
pub(in crate::store) fn without<'a>(claim: &'a str, ids: &[i64]) -> Cow<'a, str> {
    if ids.is_empty() {
        return claim.into();
    }
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let others = format!("AND id NOT IN ({}) ORDER BY", ids.join(","));
    claim.replacen("ORDER BY", &others, 1).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is claimed of rows, each of which may be claimed or not, and how many were left out.
    fn claimed(rows: &[bool], count: u32) -> (Vec<usize>, usize) {
        let unclaimable = Unclaimable::default();
        let mut waiting: Vec<usize> = (0..rows.len()).collect();
        let mut chunks = Chunks::new("q", &unclaimable, Most { count, bytes: 1000 });
        let mut claimed = Vec::new();
        while let Some((chunk, left_out)) = chunks.next() {
            let mut others = waiting.clone();
            others.retain(|row| !left_out.contains(&i64::try_from(*row).unwrap()));
            others.truncate(chunk.count as usize);
            if others.iter().all(|row| rows[*row]) {
                waiting.retain(|row| !others.contains(row));
                chunks.took(others.len(), others.len());
                claimed.extend(others);
            } else if chunks.refused() {
                let head = others.first().map(|row| i64::try_from(*row).unwrap());
                chunks.leave_out(head, "as the test wants it");
            }
        }
        (claimed, unclaimable.of("q").len())
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
    fn a_claim_in_chunks_keeps_its_bytes() {
        let most = |count, bytes| Most { count, bytes };
        let mut chunks = Chunks::new("q", &Unclaimable::default(), most(8, 10));
        assert_eq!(chunks.next(), Some((most(4, 10), Vec::new())));
        chunks.took(4, 7);
        assert_eq!(chunks.next(), Some((most(4, 3), Vec::new())));
        chunks.took(1, 5);
        assert_eq!(chunks.next(), None);
    }

    #[test]
    fn a_claim_names_the_rows_that_it_leaves_out() {
        let claim = "SELECT id FROM t WHERE a = ? ORDER BY a, id LIMIT ?";
        assert_eq!(without(claim, &[]), claim);
        let others = "SELECT id FROM t WHERE a = ? AND id NOT IN (3,-1) ORDER BY a, id LIMIT ?";
        assert_eq!(without(claim, &[3, -1]), others);
    }
}
