//! Which ends count: those that name a claim as it stands.

use std::collections::{HashMap, HashSet};

/// The fence of each row that is the asking owner's.
pub(in crate::store) type Claims = HashMap<i64, i64>;

/// The asking owner's rows.
#[derive(Debug, Default)]
pub(in crate::store) struct Mine {
    /// Locked for it.
    pub(in crate::store) locked: Claims,
    /// Somebody else has locked them, for who knows how long.
    pub(in crate::store) held: Claims,
}

/// What an end comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Acceptance {
    /// It counts.
    Counts,
    /// Others had taken over.
    Stale,
    /// It is to be tried again.
    Held,
}

/// For each named claim (row and fence) whether it stands. Each stands once.
pub(in crate::store) fn judge(
    mine: &mut Mine,
    named: impl Iterator<Item = (i64, i64)>,
) -> Vec<Acceptance> {
    let stands = |claims: &Claims, id: i64, fence: i64| claims.get(&id) == Some(&fence);
    named
        .map(|(id, fence)| {
            if stands(&mine.locked, id, fence) {
                mine.locked.remove(&id);
                Acceptance::Counts
            } else if stands(&mine.held, id, fence) {
                Acceptance::Held
            } else {
                Acceptance::Stale
            }
        })
        .collect()
}

/// The rows of those claims (row and fence) that are not among the kept ones. A row is kept for the claim that somebody
/// works on, not for an earlier one of the same row.
pub(in crate::store) fn not_kept(claims: Vec<(i64, i64)>, keep: &[(i64, i64)]) -> Vec<i64> {
    let keep: HashSet<&(i64, i64)> = keep.iter().collect();
    let others = claims.iter().filter(|claim| !keep.contains(claim));
    others.map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::Acceptance::{Counts, Held, Stale};
    use super::*;

    #[test]
    fn a_claim_is_ended_once_and_by_its_own_number() {
        let mut mine = Mine {
            locked: Claims::from([(1, 5), (2, 1)]),
            held: Claims::from([(4, 1)]),
        };
        let named = [(1, 4), (1, 5), (1, 5), (3, 1), (2, 1), (4, 1), (4, 2)];
        let judged = judge(&mut mine, named.into_iter());
        assert_eq!(judged, [Stale, Counts, Stale, Stale, Counts, Held, Stale]);
    }
}
