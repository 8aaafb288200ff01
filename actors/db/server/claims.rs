//! Which ends count: those that name a claim as it stands.

use std::collections::HashMap;

/// The fence of each row that is the asking owner's.
pub(super) type Claims = HashMap<i64, i64>;

/// For each named claim (row and fence) whether it stands. Each stands once.
pub(super) fn accept(claims: &mut Claims, named: impl Iterator<Item = (i64, i64)>) -> Vec<bool> {
    named
        .map(|(id, fence)| {
            let stands = claims.get(&id) == Some(&fence);
            if stands {
                claims.remove(&id);
            }
            stands
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_ended_once_and_by_its_own_number() {
        let mut claims = Claims::from([(1, 5), (2, 1)]);
        let named = [(1, 4), (1, 5), (1, 5), (3, 1), (2, 1)];
        let accepted = accept(&mut claims, named.into_iter());
        assert_eq!(accepted, [false, true, false, false, true]);
    }
}
