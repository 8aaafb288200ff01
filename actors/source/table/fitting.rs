//! The number of rows that a claim requests where few rows fit into its bytes.
//!
//! MySQL and MariaDB read a whole value to find its length. A claim that requests a hundred rows of 8 MB and takes two makes
//! the server read 800 MB each time. So the next claim requests twice the number that fitted.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::store::Most;
use crate::store::rows::ClaimedMessage;

#[derive(Debug)]
pub(super) struct Fitting {
    count: AtomicU32,
}

impl Default for Fitting {
    fn default() -> Self {
        Self {
            count: AtomicU32::new(u32::MAX),
        }
    }
}

impl Fitting {
    /// The request of the next claim.
    pub(super) fn ask(&self, wanted: Most) -> Most {
        Most {
            count: wanted.count.min(self.count.load(Ordering::Relaxed)),
            ..wanted
        }
    }

    /// Notes the rows that a claim of `asked` found.
    pub(super) fn found(&self, asked: Most, rows: &[ClaimedMessage]) {
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
        let half = usize::try_from(asked.bytes / 2).unwrap_or(usize::MAX);
        let next = match bytes > half {
            true => count.saturating_mul(2).max(1),
            // All requested rows fitted: a larger claim fits too.
            false if count == asked.count => self.count.load(Ordering::Relaxed).saturating_mul(2),
            false => return,
        };
        self.count.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, bytes: usize) -> Vec<ClaimedMessage> {
        let row = |id| ClaimedMessage {
            id,
            payload: vec![0; bytes].into(),
            key: None,
            headers: Vec::new(),
            attempts: 0,
            fence: 1,
            due_ms: 0,
            suspect: false,
            origin: None,
        };
        (0..).map(row).take(n).collect()
    }

    #[test]
    fn large_rows_are_asked_for_in_small_claims_and_small_ones_in_large_ones_again() {
        let fitting = Fitting::default();
        let most = |count| Most { count, bytes: 1000 };
        fitting.found(most(100), &rows(100, 1));
        assert_eq!(fitting.ask(most(100)), most(100));
        fitting.found(most(100), &rows(2, 400));
        assert_eq!(fitting.ask(most(100)), most(4));
        fitting.found(most(4), &rows(1, 5000));
        assert_eq!(
            fitting.ask(most(100)),
            most(2),
            "one that is larger than all"
        );
        fitting.found(most(2), &rows(1, 1));
        assert_eq!(fitting.ask(most(100)), most(2), "no more were there");
        for count in [2, 4, 8] {
            fitting.found(most(count), &rows(usize::try_from(count).unwrap(), 1));
        }
        assert_eq!(fitting.ask(most(100)), most(16));
    }
}
