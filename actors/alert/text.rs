//! Alerts as people read them: the first line is what is wrong, the last one where.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};

use super::{Notice, NoticeKind, Origin};

/// The end of a text that was cut.
const CUT: &str = " … (cut)";
/// Between two alerts of one message.
const GAP: &str = "\n\n";
/// More lines of details than an alert has.
const MOST_DETAILS: usize = 100;

/// How much fits into a message.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: usize,
    /// What a character takes.
    pub(super) cost: fn(char) -> usize,
}

/// As it is.
pub(super) fn plain_cost(c: char) -> usize {
    c.len_utf8()
}

/// Inside of JSON.
pub(super) fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c.is_ascii_control() => 6,
        c => c.len_utf8(),
    }
}

impl Room {
    fn takes(self, text: &str) -> bool {
        self.of(text) <= self.bytes
    }

    fn of(self, text: &str) -> usize {
        text.chars().map(self.cost).sum()
    }

    fn less(self, text: &str) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(self.of(text)),
            ..self
        }
    }

    /// The text, or as much of it as fits, between two characters, and a mark.
    fn cut(self, text: &str) -> String {
        if self.takes(text) {
            return text.to_owned();
        }
        let mut left = self.less(CUT).bytes;
        let fitting = text.chars().take_while(|c| {
            let cost = (self.cost)(*c);
            let fits = cost <= left;
            left = left.saturating_sub(cost);
            fits
        });
        let mut cut: String = fitting.collect();
        cut.push_str(CUT);
        cut
    }
}

/// One text of as many of the alerts as fit into it, and how many those are: one at least. Of details, all have the same
/// number of lines at most.
pub(super) fn gathered(
    notices: &[Arc<Notice>],
    left_out: usize,
    origin: &Origin,
    room: Room,
) -> (String, usize) {
    let mut end = format!("\n\n{}", where_it_is(origin));
    if left_out > 0 {
        end.insert_str(
            0,
            &format!("\n\n{left_out} more came too fast to be sent; they are in the log"),
        );
    }
    let room = room.less(&end);
    let mut blocks = Vec::new();
    let mut least = room.of(&heading(notices.len()));
    for notice in notices {
        let block = Block::new(notice, room);
        least += block.cost(0, room);
        if least > room.bytes && !blocks.is_empty() {
            break;
        }
        blocks.push(block);
    }
    let count = blocks.len();
    let head = heading(count);
    let costs = |details: &usize| {
        let all = blocks.iter().map(|block| block.cost(*details, room));
        room.of(&head) + all.sum::<usize>()
    };
    let most = blocks.iter().map(|block| block.details.len()).max();
    let fits = |details: &usize| costs(details) <= room.bytes;
    let details = (0..=most.unwrap_or(0)).rev().find(fits);
    // One that does not fit without its details is cut, so as many of those as fit are left.
    let details = details.unwrap_or(usize::MAX);
    let texts = blocks.iter().map(|block| block.text(details));
    let text = head + &texts.collect::<Vec<_>>().join(GAP);
    (room.cut(&text) + &end, count)
}

fn heading(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!("{count} alerts{GAP}"),
    }
}

/// One alert, and what its lines cost.
struct Block {
    head: String,
    head_cost: usize,
    /// The first ones.
    details: Vec<String>,
    /// At each place: the cost of that many first details, with what parts them.
    detail_costs: Vec<usize>,
    all_details: usize,
}

impl Block {
    fn new(notice: &Notice, room: Room) -> Self {
        let head = format!("{}\n{}", one_line(&notice.summary), state(notice));
        let mut details = Vec::new();
        let mut sum = 0;
        let mut detail_costs = vec![sum];
        for line in notice.details.iter().take(MOST_DETAILS) {
            let line = one_line(line);
            sum += room.of("\n") + room.of(&line);
            detail_costs.push(sum);
            details.push(line);
            // The lines after it fit even less.
            if sum > room.bytes {
                break;
            }
        }
        Self {
            head_cost: room.of(&head) + room.of(GAP),
            head,
            details,
            detail_costs,
            all_details: notice.details.len(),
        }
    }

    /// With that many lines of details, at most, and the gap to the next one.
    fn cost(&self, details: usize, room: Room) -> usize {
        let lines = details.min(self.details.len());
        self.head_cost + self.detail_costs[lines] + room.of(&self.rest(lines))
    }

    fn text(&self, details: usize) -> String {
        let lines = details.min(self.details.len());
        let mut text = self.head.clone();
        for line in &self.details[..lines] {
            text.push('\n');
            text.push_str(line);
        }
        text + &self.rest(lines)
    }

    /// The text about omitted lines.
    fn rest(&self, lines: usize) -> String {
        match self.all_details - lines {
            0 => String::new(),
            more => format!("\n… and {more} more lines"),
        }
    }
}

/// What has become of it, and when.
pub(super) fn state(notice: &Notice) -> String {
    let severity = notice.severity.name();
    let since = shown(notice.started_at);
    match notice.kind {
        NoticeKind::Firing => format!("firing since {since} ({severity})"),
        NoticeKind::Repeated => format!(
            "still firing after {}, since {since} ({severity})",
            lasting(crate::clock::now_utc() - notice.started_at)
        ),
        NoticeKind::Resolved => {
            let ended = notice.ended_at.unwrap_or_else(crate::clock::now_utc);
            format!(
                "resolved after {}, at {} ({severity})",
                lasting(ended - notice.started_at),
                shown(ended)
            )
        }
        NoticeKind::Count => format!("counted since {since} ({severity})"),
    }
}

/// Which daemon reports it; its name is a keyword that robots can ask for.
fn where_it_is(origin: &Origin) -> String {
    format!(
        "environment {}, partition {}, host {}, simplest_script {}",
        origin.environment, origin.partition, origin.host, origin.version
    )
}

/// By the clock of this machine.
fn shown(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

/// To two units.
fn lasting(duration: chrono::Duration) -> String {
    let duration = duration.to_std().unwrap_or(Duration::ZERO);
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::alert::Severity;
    use crate::config::Environment;

    const PLAIN: Room = Room {
        bytes: 2_048,
        cost: plain_cost,
    };

    fn origin() -> Origin {
        Origin {
            environment: Environment::Release,
            partition: "script1".to_owned(),
            host: "h".to_owned(),
            version: "0.1.0",
        }
    }

    fn notice(summary: &str, kind: NoticeKind, details: &[&str]) -> Notice {
        let at = |minute| Utc.with_ymd_and_hms(2026, 11, 29, 8, minute, 0).unwrap();
        Notice {
            kind,
            rule: "lag".to_owned(),
            subject: "orders".to_owned(),
            severity: Severity::Critical,
            summary: summary.to_owned(),
            details: details.iter().map(|line| (*line).to_owned()).collect(),
            started_at: at(0),
            ended_at: (kind == NoticeKind::Resolved).then(|| at(5)),
        }
    }

    #[test]
    fn firing_and_resolved_begin_with_the_same_line() {
        let first = |kind| {
            let notice = notice("lag of `orders` is 1200", kind, &["a"]);
            let (text, _) = gathered(&[Arc::new(notice)], 0, &origin(), PLAIN);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (firing, resolved) = (first(NoticeKind::Firing), first(NoticeKind::Resolved));
        assert_eq!(firing[0], resolved[0]);
        assert!(
            firing[1].starts_with("firing since 2026-11-29 "),
            "{firing:?}"
        );
        assert!(
            resolved[1].starts_with("resolved after 5 min 0 s, at "),
            "{resolved:?}"
        );
        assert_eq!(firing[2], "a");
        let last = "environment release, partition script1, host h, simplest_script 0.1.0";
        assert_eq!(firing.last().unwrap(), last);
    }

    #[test]
    fn an_alert_that_goes_on_says_since_when() {
        let lasting = notice("lag", NoticeKind::Repeated, &[]);
        let (text, _) = gathered(&[Arc::new(lasting)], 0, &origin(), PLAIN);
        assert!(text.contains("still firing after "), "{text}");
        assert!(text.contains(", since 2026-11-29 "), "{text}");
        let s = |seconds| super::lasting(chrono::TimeDelta::seconds(seconds));
        assert_eq!([s(-1), s(59), s(3_599)], ["0 s", "59 s", "59 min 59 s"]);
        assert_eq!([s(86_399), s(90_000)], ["23 h 59 min", "1 d 1 h"]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let long = [Arc::new(notice(
            &"告警".repeat(1_000),
            NoticeKind::Count,
            &["x"; 20],
        ))];
        let (text, count) = gathered(&long, 0, &origin(), PLAIN);
        assert_eq!(count, 1);
        assert!(text.len() <= 2_048 && text.len() > 2_040, "{}", text.len());
        assert!(
            text.contains(CUT) && text.ends_with("simplest_script 0.1.0"),
            "{text}"
        );
        for bytes in 120..140 {
            let room = Room { bytes, ..PLAIN };
            assert!(gathered(&long, 0, &origin(), room).0.len() <= bytes);
        }
    }

    #[test]
    fn many_alerts_are_one_message_with_fewer_details() {
        let line = "d".repeat(50);
        let details: Vec<&str> = vec![&line; 10];
        let all: Vec<Arc<Notice>> = (0..5)
            .map(|n| notice(&format!("alert {n}"), NoticeKind::Firing, &details))
            .map(Arc::new)
            .collect();
        let (text, count) = gathered(&all, 7, &origin(), PLAIN);
        assert_eq!(count, 5);
        assert!(text.starts_with("5 alerts\n\nalert 0\nfiring"), "{text}");
        assert_eq!(text.matches("… and 5 more lines").count(), 5, "{text}");
        assert!(text.contains("7 more came too fast"), "{text}");
        assert!(text.len() <= 2_048);
    }

    #[test]
    fn what_does_not_fit_is_left_for_the_next_message() {
        let long = "长".repeat(100);
        let all: Vec<Arc<Notice>> = (0..20)
            .map(|_| notice(&long, NoticeKind::Firing, &[]))
            .map(Arc::new)
            .collect();
        let (text, count) = gathered(&all, 0, &origin(), PLAIN);
        assert!((3..7).contains(&count), "{count}");
        assert!(text.starts_with(&format!("{count} alerts")) && !text.contains(CUT));
    }

    /// Whatever their number, and the lengths of their lines.
    #[test]
    fn no_text_is_longer_than_its_room() {
        for bytes in [200, 500, 2_048, 18_000] {
            for cost in [plain_cost as fn(char) -> usize, json_cost] {
                let room = Room { bytes, cost };
                for count in [1, 2, 3, 17, 500] {
                    let all: Vec<Arc<Notice>> = (0..count)
                        .map(|n| {
                            let line = "\"测\\".repeat(n % 7 * 9);
                            let details = vec![line.as_str(); n % 150];
                            notice(&line, NoticeKind::Firing, &details)
                        })
                        .map(Arc::new)
                        .collect();
                    let (text, taken) = gathered(&all, count, &origin(), room);
                    assert!(room.of(&text) <= bytes, "{bytes} {count}: {text}");
                    assert!((1..=count).contains(&taken));
                    let again = gathered(&all[..taken], 0, &origin(), room);
                    assert_eq!(again.1, taken, "a part of it fits too");
                }
            }
        }
    }

    #[test]
    fn json_counts_its_escapes() {
        for text in ["a\"\\\n\u{1}\u{1b}é测", "\t\r\u{8}\u{c}"] {
            let encoded = serde_json::to_string(text).unwrap();
            assert_eq!(
                text.chars().map(json_cost).sum::<usize>(),
                encoded.len() - 2
            );
        }
    }
}
