//! How many rows to claim: the arithmetic of one look.

/// What one look may claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Rows that are due from this second on.
    pub(super) on_time: u32,
    /// Rows whose second is over.
    pub(super) overdue: u32,
}

/// At most as many rows as there is room for, so that other daemons get their share. Rows that are overdue, after a
/// downtime, take half of the room at most: those that are due now find the other half.
pub(super) fn look(capacity: u32, held: u32, overdue_held: u32) -> Look {
    let free = capacity.saturating_sub(held);
    let half = (capacity / 2).max(1);
    Look {
        on_time: free,
        overdue: half.saturating_sub(overdue_held).min(free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overdue_rows_leave_half_of_the_room() {
        let cases = [
            ((1000, 0, 0), (1000, 500)),
            ((1000, 500, 500), (500, 0)),
            ((1000, 900, 100), (100, 100)),
            ((1000, 1000, 0), (0, 0)),
            ((1000, 1200, 0), (0, 0)),
            ((1, 0, 0), (1, 1)),
        ];
        for ((capacity, held, overdue_held), (on_time, overdue)) in cases {
            assert_eq!(
                look(capacity, held, overdue_held),
                Look { on_time, overdue }
            );
        }
    }
}
