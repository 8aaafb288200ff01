//! A daemon's state for people.
//!
//! It is read as JSON, each field where it is there: the daemon that answers may be older or newer than this program.

use std::fmt::Write as _;

use chrono::{DateTime, Local};
use serde_json::{Value, json};

/// Characters of a name that a column shows.
const NAME_CHARS: usize = 28;

pub(super) fn of(state: &Value, now_ms: i64) -> String {
    let mut text = String::new();
    let daemon = &state["daemon"];
    let _ = writeln!(
        text,
        "partition {}, pid {} on {}, environment {}, version {}, up {}{}",
        word(&daemon["partition"]),
        daemon["pid"],
        word(&daemon["host"]),
        word(&daemon["environment"]),
        word(&daemon["version"]),
        ago(&daemon["started_ms"], now_ms),
        match state["readiness"]["ready"] {
            Value::Bool(true) => "",
            _ => ", NOT READY",
        }
    );
    wrong(&mut text, &state["wrong"], now_ms);
    for pause in list(&state["pauses"]) {
        let _ = writeln!(
            text,
            "= {} is paused, for {}, by order of {}",
            word(&pause["what"]),
            ago(&pause["since_ms"], now_ms),
            word(&pause["ordered_by"])
        );
    }
    queues(&mut text, list(&state["queues"]));
    cron(&mut text, list(&state["cron"]), now_ms);
    delay(&mut text, state, now_ms);
    text.push('\n');
    text
}

fn wrong(text: &mut String, wrong: &Value, now_ms: i64) {
    if list(wrong).is_empty() {
        text.push_str("nothing is wrong\n");
    }
    for one in list(wrong) {
        let since = match one["since_ms"].as_i64() {
            Some(_) if one["at_least"] == true => {
                format!(", for at least {}", ago(&one["since_ms"], now_ms))
            }
            Some(_) => format!(", for {}", ago(&one["since_ms"], now_ms)),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "! {}: {}{since}\n    {}",
            word(&one["about"]),
            word(&one["text"]),
            word(&one["remedy"])
        );
    }
}

fn queues(text: &mut String, queues: &[Value]) {
    if queues.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nqueues\n  {:NAME_CHARS$} {:>10} {:>9} {:>9} {:>10} {:>8} {:>6} {:>10}",
        "name", "lag", "consumers", "in flight", "done", "failed", "dead", "p99"
    );
    for queue in queues {
        let lag = lag(queue);
        let consumers = format!(
            "{}/{}",
            queue["consumers_present"], queue["consumers_ceiling"]
        );
        let failed = ["errors", "timeouts", "panics"].map(|key| number(&queue[key]));
        let _ = writeln!(
            text,
            "  {} {lag:>10} {consumers:>9} {:>9} {:>10} {:>8} {:>6} {:>10}",
            column(&queue["name"]),
            number(&queue["in_flight"]),
            number(&queue["completed"]),
            failed.iter().sum::<u64>(),
            number(&queue["dead_lettered"]),
            duration(&queue["handler"]["p99_seconds"])
        );
        if queue["held_back"].is_string() {
            let _ = writeln!(text, "    {}", word(&queue["held_back"]));
        }
    }
}

/// A lag that cannot be read now is shown as the question that it is, with what it was.
fn lag(queue: &Value) -> String {
    let capped = queue["lag_is_capped"] == Value::Bool(true);
    let shown = |lag: u64| format!("{lag}{}", if capped { "+" } else { "" });
    let last = || queue["last_lag"].as_u64().map(shown);
    match queue["lag"].as_u64() {
        Some(lag) => shown(lag),
        None => last().map_or_else(|| "?".to_owned(), |last| format!("? (was {last})")),
    }
}

fn cron(text: &mut String, entries: &[Value], now_ms: i64) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\ncron\n  {:NAME_CHARS$} {:>19} {:>8} {:>8} {:>7} {:>14} {:>8} {:>8}",
        "name", "next", "success", "failed", "running", "last success", "last run", "usual"
    );
    for entry in entries {
        let fires = &entry["fires"];
        let failed = ["failed", "timeout", "killed", "lost", "missed"];
        let failed: u64 = failed.iter().map(|key| number(&fires[key])).sum();
        let last = match entry["last_success_ms"].as_i64() {
            Some(_) => format!("{} ago", ago(&entry["last_success_ms"], now_ms)),
            None => "-".to_owned(),
        };
        let _ = writeln!(
            text,
            "  {} {:>19} {:>8} {failed:>8} {:>7} {last:>14} {:>8} {:>8}",
            column(&entry["name"]),
            time(&entry["next_fire_ms"]),
            number(&fires["success"]),
            running(entry),
            took(&entry["last_seconds"]),
            took(&entry["usual_seconds"])
        );
        slower(text, entry, now_ms);
    }
}

/// Below the line of an entry of which a run takes longer than usual.
fn slower(text: &mut String, entry: &Value, now_ms: i64) {
    let which = match entry["slower_than_usual"].as_str() {
        Some("running") => format!(
            "a run goes on for {}",
            ago(&entry["running"][0]["since_ms"], now_ms)
        ),
        Some("last") => format!("the last run took {}", took(&entry["last_seconds"])),
        _ => return,
    };
    let usual = took(&entry["usual_seconds"]);
    let _ = writeln!(text, "    slower than usual: {which}, usually {usual}");
}

/// How long a run takes, in the largest unit that is exact enough.
fn took(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.1} h", seconds / 3600.0),
    }
}

/// An older daemon does not count those that it does not list.
fn running(entry: &Value) -> u64 {
    let listed = u64::try_from(list(&entry["running"]).len()).unwrap_or(u64::MAX);
    entry["running_count"].as_u64().unwrap_or(listed)
}

fn delay(text: &mut String, state: &Value, now_ms: i64) {
    let delay = &state["delay"];
    let waiting = match delay["waiting"].as_u64() {
        None => "?".to_owned(),
        Some(100_001..) => "100,000+".to_owned(),
        Some(n) => n.to_string(),
    };
    // As of the count: the oldest may have run since. An older daemon does not say when it counted.
    let counted_ms = delay["counted_ms"].as_i64().unwrap_or(now_ms);
    let first = match delay["oldest_due_ms"].as_i64() {
        Some(due) if due > counted_ms => {
            format!(", the first due at {}", time(&delay["oldest_due_ms"]))
        }
        Some(_) => format!(
            ", the oldest {} past its time",
            ago(&delay["oldest_due_ms"], counted_ms)
        ),
        None => String::new(),
    };
    let counted = match delay["waiting"] {
        Value::Null => String::new(),
        _ => format!(" (counted {} ago)", ago(&json!(counted_ms), now_ms)),
    };
    let tasks = &delay["tasks"];
    let _ = writeln!(
        text,
        "\ndelay queue: {waiting} wait{first}{counted}, {} run, {} done, {} dead letters, p99 late {}",
        delay["running_count"],
        number(&tasks["done"]),
        number(&tasks["dead_lettered"]),
        duration(&delay["lateness"]["p99_seconds"])
    );
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// In one line, and without what a terminal would obey.
fn word(value: &Value) -> String {
    let text = value.as_str().unwrap_or("?");
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// A name, as wide as its column.
fn column(value: &Value) -> String {
    let name = word(value);
    let shown: String = match name.chars().count() > NAME_CHARS {
        true => name.chars().take(NAME_CHARS - 1).chain(['…']).collect(),
        false => name,
    };
    format!("{shown:NAME_CHARS$}")
}

fn time(value: &Value) -> String {
    let time = value.as_i64().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(
        || "-".to_owned(),
        |at| {
            at.with_timezone(&Local)
                .format("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// How long ago that was, in the largest unit that is exact enough.
fn ago(value: &Value, now_ms: i64) -> String {
    let seconds = value
        .as_i64()
        .map_or(0, |then| (now_ms - then).max(0) / 1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn duration(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_daemon_does_not_say_is_left_out() {
        let text = of(&json!({}), 0);
        assert!(
            text.contains("NOT READY") && text.contains("nothing is wrong"),
            "{text}"
        );
    }

    #[test]
    fn names_and_errors_do_nothing_to_the_terminal() {
        let state = json!({
            "daemon": { "partition": "a\u{1b}[2Jb" },
            "wrong": [{ "about": "queue x\ny", "since_ms": 0, "text": "t", "remedy": "r" }],
            "queues": [
                { "name": "队列\u{7}", "lag": 5, "lag_is_capped": true },
                { "name": "unread", "lag": null, "last_lag": 7 },
                { "name": "never read", "lag": null, "last_lag": null },
            ],
        });
        let text = of(&state, 3 * 3600 * 1000);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text}"
        );
        assert!(text.contains("! queue x y: t, for 3 h"), "{text}");
        for part in [" 5+ ", " ? (was 7) ", " ? "] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_delay_queue_is_shown_as_it_was_counted() {
        let counted_ms = 1_000_000;
        let state = |due_ms: i64| json!({ "delay": { "waiting": 3, "oldest_due_ms": due_ms, "counted_ms": counted_ms } });
        let late = of(&state(counted_ms - 20_000), counted_ms + 30_000);
        assert!(
            late.contains("3 wait, the oldest 20 s past its time (counted 30 s ago)"),
            "{late}"
        );
        // It was not due then, and has run since.
        let on_time = of(&state(counted_ms + 1000), counted_ms + 30_000);
        assert!(on_time.contains("3 wait, the first due at"), "{on_time}");
    }

    #[test]
    fn what_is_paused_is_reported_with_its_order() {
        let pause = json!({ "what": "queue `orders`", "since_ms": 0, "ordered_by": "ann@web-1" });
        let text = of(&json!({ "pauses": [pause] }), 3 * 3600 * 1000);
        assert!(
            text.contains("= queue `orders` is paused, for 3 h, by order of ann@web-1"),
            "{text}"
        );
    }

    #[test]
    fn an_entry_that_is_slower_than_usual_says_so() {
        let entry = |slower: &str| {
            json!({ "cron": [{
                "name": "report", "usual_seconds": 40.26, "last_seconds": 0.04, "slower_than_usual": slower,
                "running": [{ "since_ms": 0 }],
            }] })
        };
        let text = of(&entry("running"), 300_000);
        let line = "    slower than usual: a run goes on for 5 min, usually 40.3 s\n";
        assert!(
            text.contains(line) && text.contains("    40 ms   40.3 s\n"),
            "{text}"
        );
        let text = of(&entry("last"), 0);
        assert!(
            text.contains("    slower than usual: the last run took 40 ms, usually 40.3 s\n"),
            "{text}"
        );
        assert!(!of(&entry(""), 0).contains("slower"));
    }

    #[test]
    fn spans_are_reported_in_a_unit_of_their_size() {
        let said = |seconds: i64| ago(&json!(0), seconds * 1000);
        let all = [5, 150, 8000, 200_000].map(said);
        assert_eq!(all, ["5 s", "2 min", "2 h", "2 days"]);
    }
}
