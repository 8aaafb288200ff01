//! `restarts`: a part of the daemon that dies again and again, and is replaced each time.

use super::Condition;
use crate::state::PartDeaths;

/// Parts that died at least `times` times within the last `within_seconds`.
pub(super) fn conditions(
    deaths: &[PartDeaths],
    times: u64,
    within_seconds: u64,
    now_ms: i64,
) -> Vec<Condition> {
    let within_ms = i64::try_from(within_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let each = deaths.iter().filter_map(|part| {
        let recent = part
            .at_ms
            .iter()
            .filter(|at| now_ms.saturating_sub(**at) < within_ms);
        let recent: Vec<i64> = recent.copied().collect();
        let is_wrong = u64::try_from(recent.len()).unwrap_or(u64::MAX) >= times;
        let since_ms = *recent.first()?;
        is_wrong.then(|| Condition {
            subject: part.part.replace('`', ""),
            since_ms,
            summary: format!("{} dies again and again", part.part),
            text: format!("{} times within {within_seconds} s", recent.len()),
            remedy: "it is replaced each time; the log has the reason of each death".to_owned(),
            ..Condition::default()
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_deaths_of_a_part_are_an_alert() {
        let deaths = [PartDeaths {
            part: "a consumer of queue `q`".to_owned(),
            at_ms: vec![0, 10_000, 20_000],
        }];
        assert_eq!(conditions(&deaths, 4, 600, 20_000), []);
        let found = conditions(&deaths, 3, 600, 20_000);
        assert_eq!(found[0].subject, "a consumer of queue q");
        assert_eq!(found[0].text, "3 times within 600 s");
        assert_eq!(
            conditions(&deaths, 3, 600, 600_000),
            [],
            "the first is long ago"
        );
        assert_eq!(conditions(&deaths, 2, 600, 600_000)[0].since_ms, 10_000);
    }
}
