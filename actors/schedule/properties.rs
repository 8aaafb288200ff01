//! Properties of schedules, against a checker that shares nothing with them: random expressions
//! are generated together with the values they stand for.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use fastrand::Rng;

use super::Schedule;

const MONTHS: [&str; 12] = [
    "jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "MON", "Tue", "wed", "thu", "fri", "sat"];
/// Lowest value, highest value and names of each field.
const BOUNDS: [(u32, u32, &[&str]); 6] = [
    (0, 59, &[]),
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &MONTHS),
    (0, 6, &DAYS),
];

/// No search may take longer, even on a machine that is busy with other things.
const BOUNDED: Duration = Duration::from_secs(5);

/// A random expression and what it stands for.
struct Sample {
    text: String,
    values: [BTreeSet<u32>; 6],
    both_days: bool,
    fixed: bool,
}

impl Sample {
    fn new(rng: &mut Rng) -> Self {
        let mut values: [BTreeSet<u32>; 6] = Default::default();
        let (mut both_days, mut fixed) = (false, true);
        // Fixed times are rare among random fields, and the harder half.
        let plain_time = rng.bool();
        let mut words = Vec::new();
        for (i, (low, high, names)) in BOUNDS.into_iter().enumerate() {
            let members = rng.usize(1..=3);
            let mut word = Vec::new();
            for _ in 0..members {
                let (a, b, step) = (rng.u32(low..=high), rng.u32(low..=high), rng.u32(1..=90));
                let (a, b) = (a.min(b), a.max(b));
                let mut show = |value: u32| match names.get((value - low) as usize) {
                    Some(name) if rng.bool() => (*name).to_owned(),
                    _ => value.to_string(),
                };
                let (a_text, b_text) = (show(a), show(b));
                let kind = if plain_time && i < 3 {
                    0
                } else {
                    rng.u32(0..8)
                };
                let (text, first, last, step) = match kind {
                    0 | 1 => (a_text, a, a, 1),
                    2 => (format!("{a_text}/{step}"), a, high, step),
                    3 => (format!("{a_text}-{b_text}"), a, b, 1),
                    4 => (format!("{a_text}-{b_text}/{step}"), a, b, step),
                    5 => (format!("*/{step}"), low, high, step),
                    6 => ("?".to_owned(), low, high, 1),
                    _ => ("*".to_owned(), low, high, 1),
                };
                fixed &= i >= 3 || kind < 2;
                both_days |= (i == 3 || i == 5) && kind >= 5;
                values[i].extend((first..=last).step_by(step as usize));
                word.push(text);
            }
            words.push(word.join(","));
        }
        let text = words.join(" ");
        Self {
            text,
            values,
            both_days,
            fixed,
        }
    }

    fn schedule(&self) -> Schedule {
        self.text
            .parse()
            .unwrap_or_else(|error| panic!("`{}`: {error}", self.text))
    }

    fn due_on(&self, date: NaiveDate) -> bool {
        let day = self.values[3].contains(&date.day());
        let weekday = self.values[5].contains(&date.weekday().num_days_from_sunday());
        let days = if self.both_days {
            day && weekday
        } else {
            day || weekday
        };
        days && self.values[4].contains(&date.month())
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        self.values[0].contains(&wall.second())
            && self.values[1].contains(&wall.minute())
            && self.values[2].contains(&wall.hour())
            && self.due_on(wall.date())
    }

    /// The first of its times of day that is not before `from`, a second of the day.
    fn time_from(&self, from: u32) -> Option<u32> {
        let [seconds, minutes, hours, ..] = &self.values;
        let minutes = hours
            .iter()
            .flat_map(|h| minutes.iter().map(move |m| h * 3600 + m * 60));
        let mut times = minutes.flat_map(|m| seconds.iter().map(move |s| m + s));
        times.find(|time| *time >= from)
    }

    /// The next fire in a zone without changes, found day by day.
    fn next(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // The longest wait is for a 29 February on one weekday over a missing leap year.
        const LONGEST_WAIT_DAYS: usize = 41 * 366;
        let mut from = after.num_seconds_from_midnight() + 1;
        for date in after.date().iter_days().take(LONGEST_WAIT_DAYS) {
            if let Some(time) = self.time_from(from).filter(|_| self.due_on(date)) {
                return Some(date.and_hms_opt(0, 0, 0)? + TimeDelta::seconds(time.into()));
            }
            from = 0;
        }
        None
    }
}

#[test]
fn a_random_expression_fires_next_when_a_naive_search_says() {
    let mut rng = Rng::with_seed(1);
    let mut never = 0;
    for _ in 0..3_000 {
        let sample = Sample::new(&mut rng);
        let schedule = sample.schedule();
        let start = Utc.timestamp_opt(rng.i64(0..5_000_000_000), rng.u32(0..1_000_000_000));
        let start = start.unwrap();
        let began = Instant::now();
        let next = schedule.next_after(&start);
        assert!(began.elapsed() < BOUNDED, "`{}` after {start}", sample.text);
        let expected = sample.next(start.naive_utc());
        assert_eq!(
            next.map(|next| next.naive_utc()),
            expected,
            "`{}` after {start}",
            sample.text
        );
        assert!(next.is_none_or(|next| next > start));
        never += usize::from(next.is_none());
    }
    assert!(
        never < 300,
        "{never} of 3,000 never fire: the samples are poor"
    );
}

/// Zones, and a second in UTC at which each changed its clock.
const CHANGES: [(&str, &str); 12] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"), // by half an hour
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Asia/Beirut", "2026-03-28T22:00:00Z"), // midnight is missing
    ("America/Nuuk", "2026-03-29T01:00:00Z"), // the day's last hour is missing
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"), // midnight is missing
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"), // the day's last hour comes twice
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"), // by two hours
    ("Pacific/Apia", "2011-12-30T10:00:00Z"), // a whole day is missing
];

/// All fires of a sample among instants one second apart, given by what the clock shows.
fn fires(sample: &Sample, clock: &[NaiveDateTime]) -> BTreeSet<usize> {
    if !sample.fixed {
        return (0..clock.len())
            .filter(|i| sample.matches(clock[*i]))
            .collect();
    }
    let days: BTreeSet<NaiveDate> = clock.iter().map(|wall| wall.date()).collect();
    let mut fires = BTreeSet::new();
    for date in days.into_iter().filter(|date| sample.due_on(*date)) {
        let mut time = sample.time_from(0);
        while let Some(seconds) = time {
            let wall = date.and_hms_opt(0, 0, 0).unwrap() + TimeDelta::seconds(seconds.into());
            // The first instant at which the clock shows this time or has gone past it.
            if wall >= clock[0] {
                fires.extend(clock.iter().position(|shown| *shown >= wall));
            }
            time = sample.time_from(seconds + 1);
        }
    }
    fires
}

#[test]
fn a_random_expression_follows_each_change_of_the_clock() {
    const HALF_A_WINDOW: TimeDelta = TimeDelta::hours(16);
    let mut rng = Rng::with_seed(2);
    for (zone, change) in CHANGES {
        let zone: Tz = zone.parse().unwrap();
        let change: DateTime<Utc> = change.parse().unwrap();
        let first = change - HALF_A_WINDOW;
        let offset = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
        let (before, after) = (offset(change - TimeDelta::seconds(1)), offset(change));
        assert_ne!(before, after, "{zone} has no change at {change}");
        let clock: Vec<NaiveDateTime> = (0..2 * HALF_A_WINDOW.num_seconds())
            .map(|second| first + TimeDelta::seconds(second))
            .map(|at| at.naive_utc() + if at < change { before } else { after })
            .collect();
        for _ in 0..10 {
            let mut sample = Sample::new(&mut rng);
            if rng.bool() {
                let text: Vec<&str> = sample.text.split(' ').take(3).collect();
                sample.text = format!("{} * * *", text.join(" "));
                sample.values[3] = (1..=31).collect();
                sample.values[4] = (1..=12).collect();
                sample.values[5] = (0..=6).collect();
            }
            let schedule = sample.schedule();
            let fires = fires(&sample, &clock);
            for _ in 0..60 {
                let second = rng.usize(0..clock.len());
                let start = first + TimeDelta::seconds(second as i64);
                let start = start + TimeDelta::milliseconds(rng.i64(0..2) * 500);
                let next = schedule.next_after(&start.with_timezone(&zone));
                let expected = fires.range(second + 1..).next();
                let expected = expected.map(|at| first + TimeDelta::seconds(*at as i64));
                let next = next.map(|next| next.with_timezone(&Utc));
                let end = first + HALF_A_WINDOW * 2;
                assert_eq!(
                    next.filter(|next| *next < end),
                    expected,
                    "`{}` in {zone} after {start}",
                    sample.text
                );
            }
        }
    }
}

#[test]
fn any_text_is_read_or_refused_at_a_place_inside_it() {
    let alphabet: Vec<char> = "0123456789*?/-,,  \t@LW#+.=:everyhmsnuµsunjanTZ\u{3000}٠é\0"
        .chars()
        .collect();
    let mut rng = Rng::with_seed(3);
    let now = Utc.timestamp_opt(1_800_000_000, 0).unwrap();
    for round in 0..30_000 {
        let mut text = match round % 3 {
            0 => "@every ".to_owned(),
            1 => Sample::new(&mut rng).text,
            _ => String::new(),
        };
        for _ in 0..rng.usize(0..if round % 3 == 1 { 4 } else { 40 }) {
            let c = if rng.u8(..) == 0 {
                rng.char(..)
            } else {
                *rng.choice(&alphabet).unwrap()
            };
            let at = rng.usize(0..=text.chars().count());
            let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            text.insert(at, c);
        }
        let began = Instant::now();
        match text.parse::<Schedule>() {
            Ok(schedule) => {
                assert!(
                    schedule.next_after(&now).is_none_or(|next| next > now),
                    "{text:?}"
                );
                assert_eq!(schedule.to_string(), text);
            }
            Err(error) => {
                assert!(
                    text.is_char_boundary(error.offset()),
                    "{text:?}: {}",
                    error.offset()
                );
                assert!(!error.to_string().is_empty());
            }
        }
        assert!(began.elapsed() < BOUNDED, "{text:?}");
    }
}
