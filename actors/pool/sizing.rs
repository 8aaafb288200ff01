//! How many consumers a queue gets: the arithmetic of `docs/en/configuration.md`, with nothing else in it.

use std::num::NonZeroU32;

use crate::config::PoolLimits;

/// Consumers for this lag: `progress` at rest, above the limit as many more as it takes to work the lag off, within
/// the ceiling.
pub(crate) fn wanted(limits: &PoolLimits, ceiling: u32, lag: u64) -> u32 {
    let rest = limits.progress.get();
    if lag <= limits.lag_limit {
        return rest;
    }
    let more = u32::try_from(lag / limits.avg_msgcount.get()).unwrap_or(u32::MAX);
    rest.saturating_add(more).min(ceiling).max(rest)
}

/// A lag from which on the pool has all the consumers that its entry allows: there is no use in counting further.
fn enough(limits: &PoolLimits) -> u64 {
    let most = limits.max_progress.unwrap_or(limits.progress).get();
    let more = u64::from(most.saturating_sub(limits.progress.get()));
    let full = more.saturating_mul(limits.avg_msgcount.get());
    full.max(limits.lag_limit.saturating_add(1))
}

/// Lags of tables are counted this far at least, whatever the pool needs: people want to see whether they grow.
const LEAST_COUNTED: u64 = 10_000;

/// How far the lag of a table is counted.
pub(crate) fn counted_to(limits: &PoolLimits) -> u64 {
    enough(limits).max(LEAST_COUNTED)
}

/// The most consumers the pool may have: the entry's word, else the source's, else those at rest.
pub(crate) fn ceiling(limits: &PoolLimits, of_source: Option<u32>) -> u32 {
    let of_entry = limits.max_progress.map(NonZeroU32::get);
    of_entry.or(of_source).unwrap_or(limits.progress.get())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn limits(progress: u32, max: Option<u32>, lag_limit: u64, avg: u64) -> PoolLimits {
        PoolLimits {
            progress: NonZeroU32::new(progress).unwrap(),
            max_progress: max.map(|max| NonZeroU32::new(max).unwrap()),
            lag_limit,
            avg_msgcount: NonZeroU64::new(avg).unwrap(),
        }
    }

    #[test]
    fn a_pool_is_sized_by_its_lag() {
        let cases = [
            // (progress, max, limit, avg, lag, wanted)
            (2, Some(10), 5000, 1000, 0, 2),
            (2, Some(10), 5000, 1000, 5000, 2),
            (2, Some(10), 5000, 1000, 5001, 7),
            (2, Some(10), 5000, 1000, 7999, 9),
            (2, Some(10), 5000, 1000, 8000, 10),
            (2, Some(10), 5000, 1000, 1_000_000, 10),
            (2, Some(10), 0, 1000, 1, 2),
            (2, None, 0, 1, 1_000_000, 2),
            (1, Some(10_000), 0, 1, u64::MAX, 10_000),
        ];
        for (progress, max, limit, avg, lag, expected) in cases {
            let limits = limits(progress, max, limit, avg);
            assert_eq!(
                wanted(&limits, ceiling(&limits, None), lag),
                expected,
                "lag {lag}"
            );
        }
    }

    #[test]
    fn nothing_is_counted_beyond_what_is_enough() {
        for limits in [
            limits(2, Some(10), 5000, 1000),
            limits(2, Some(10), 50_000, 1000),
            limits(2, None, 0, 1),
            limits(1, Some(10_000), 0, 1),
            limits(3, Some(4), 7, 9),
        ] {
            let ceiling = ceiling(&limits, None);
            let enough = enough(&limits);
            assert_eq!(wanted(&limits, ceiling, enough), ceiling);
            assert_eq!(wanted(&limits, ceiling, u64::MAX), ceiling);
            let below = wanted(&limits, ceiling, enough - 1);
            assert!(
                below < ceiling || enough - 1 == limits.lag_limit || ceiling == 2,
                "{limits:?}"
            );
        }
        let most = limits(1, Some(u32::MAX), u64::MAX, u64::MAX);
        assert_eq!(enough(&most), u64::MAX);
    }

    #[test]
    fn the_source_knows_a_ceiling_where_the_entry_has_none() {
        assert_eq!(ceiling(&limits(2, None, 0, 1), Some(12)), 12);
        assert_eq!(ceiling(&limits(2, Some(5), 0, 1), Some(12)), 5);
        assert_eq!(ceiling(&limits(2, None, 0, 1), None), 2);
    }

    #[test]
    fn a_low_ceiling_never_takes_consumers_at_rest() {
        assert_eq!(wanted(&limits(4, None, 0, 1), 2, 100), 4);
    }
}
