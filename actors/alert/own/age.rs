//! The age of numbers that are read from time to time, in words.

/// Numbers that are younger than this are those of now.
const FRESH_MS: i64 = 5_000;

/// For a number that is not of now; nothing for one that is.
pub(crate) fn aged(read_ms: Option<i64>, now_ms: i64, report: impl Fn(&str) -> String) -> String {
    let old = read_ms.filter(|read_ms| now_ms - read_ms >= FRESH_MS);
    old.map_or_else(String::new, |read_ms| report(&ago(read_ms, now_ms)))
}

pub(crate) fn ago(then_ms: i64, now_ms: i64) -> String {
    match (now_ms - then_ms).max(0) / 1000 {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    }
}
