//! The report when not all lines could be sent: which are in the queue, and how to send the others.

use std::ops::RangeInclusive;

use super::lines::Lines;
use crate::bootstrap::failure::Failure;

/// Why a portion was not sent, or not as a whole. Nothing behind it was tried.
pub(super) struct Stopped {
    /// The places of messages that were not acknowledged, from 0 on, ascending.
    pub(super) unsent: Vec<usize>,
    /// All before this place were tried, or could have been.
    pub(super) upto: usize,
    /// With an answer that was lost some of `unsent` can be in the queue.
    pub(super) in_doubt: bool,
    pub(super) cause: String,
}

impl Stopped {
    /// Numbers of lines, counted from 1; `before` lines were sent before this portion.
    fn lines(&self, before: usize) -> Vec<RangeInclusive<usize>> {
        let mut ranges: Vec<RangeInclusive<usize>> = Vec::new();
        for place in &self.unsent {
            let line = before + place + 1;
            match ranges.last_mut() {
                Some(last) if *last.end() + 1 == line => *last = *last.start()..=line,
                _ => ranges.push(line..=line),
            }
        }
        ranges
    }
}

impl Lines {
    /// `before`: how many lines were sent before the portion that stopped.
    pub(super) fn stopped(&self, before: usize, stopped: &Stopped) -> Failure {
        let ranges = stopped.lines(before);
        let upto = before + stopped.upto;
        Failure::failed(match &ranges[..] {
            [last] if *last.end() == upto => self.ends_with(last, stopped),
            _ => self.lacks(&ranges, upto, stopped),
        })
    }

    /// All before them were sent.
    fn ends_with(&self, last: &RangeInclusive<usize>, stopped: &Stopped) -> String {
        let (first, last, unit) = (*last.start(), *last.end(), self.unit());
        let (sure, rest, cause) = (self.sent(first - 1), self.rest(first), &stopped.cause);
        if first == last {
            format!(
                "{sure}; {unit} {first} was not acknowledged, and nothing behind it was sent: {cause}; once it is put right, {rest}"
            )
        } else if stopped.in_doubt {
            format!(
                "{sure}; {unit}s {first} to {last} were not acknowledged, and some of them can be in the queue; nothing behind \
                 them was sent: {cause}; check which of them are there before you go on, or they are doubled; {rest}"
            )
        } else {
            format!(
                "{sure}; {unit}s {first} to {last} were refused, and none of them is in the queue; nothing behind them was \
                 sent: {cause}; once it is put right, {rest}"
            )
        }
    }

    /// Some in between were not sent.
    fn lacks(&self, ranges: &[RangeInclusive<usize>], upto: usize, stopped: &Stopped) -> String {
        let unsent: usize = ranges.iter().map(|range| range.clone().count()).sum();
        let (unit, cause) = (self.unit(), &stopped.cause);
        let doubt = match stopped.in_doubt {
            true => "were not acknowledged, and some of them can be in the queue",
            false => "were refused, and are not in the queue",
        };
        let care = match stopped.in_doubt {
            true => "check which of them are there before you go on, or they are doubled",
            false => "once it is put right",
        };
        format!(
            "{} messages sent, {unit}s 1 to {upto} of {} without {}, which {doubt}; nothing behind {unit} {upto} was sent: \
             {cause}; {care}, {}",
            upto - unsent,
            self.name(),
            in_words(ranges),
            self.rest_with(ranges, upto + 1)
        )
    }

    /// What is in the queue for certain.
    pub(super) fn sent(&self, sent: usize) -> String {
        match sent {
            0 => "0 messages sent".to_owned(),
            _ => format!(
                "{sent} messages sent, {}s 1 to {sent} of {}",
                self.unit(),
                self.name()
            ),
        }
    }

    /// How to send what begins there.
    pub(super) fn rest(&self, first: usize) -> String {
        match self.path() {
            Some(path) => format!(
                "`tail -n +{first} {}` is the rest, for `send QUEUE -`",
                path.display()
            ),
            None => format!("the rest begins with {} {first}", self.unit()),
        }
    }

    /// How to send these, and what begins there.
    fn rest_with(&self, ranges: &[RangeInclusive<usize>], first: usize) -> String {
        let Some(path) = self.path() else {
            let unit = self.unit();
            return format!(
                "the rest is {unit}s {} and all from {first} on",
                in_words(ranges)
            );
        };
        let range = |range: &RangeInclusive<usize>| match (range.start(), range.end()) {
            (one, last) if one == last => format!("{one}p"),
            (one, last) => format!("{one},{last}p"),
        };
        let ranges: Vec<String> = ranges.iter().map(range).collect();
        format!(
            "`sed -n '{};{first},$p' {}` is the rest, for `send QUEUE -`",
            ranges.join(";"),
            path.display()
        )
    }
}

fn in_words(ranges: &[RangeInclusive<usize>]) -> String {
    let range = |range: &RangeInclusive<usize>| match (range.start(), range.end()) {
        (one, last) if one == last => one.to_string(),
        (one, last) => format!("{one} to {last}"),
    };
    let ranges: Vec<String> = ranges.iter().map(range).collect();
    ranges.join(", ")
}
