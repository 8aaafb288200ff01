//! The entries that are due soon, as jobs of job_scheduler_ng.
//!
//! `Schedule` works out an entry's next second in the entry's own zone; the scheduler gets it as a date in UTC with its year,
//! so that a job has one run in all time. A job's closure is the only thing that marks its entry as due.
//!
//! A scheduler scans all its jobs at each tick, and once more for each that is removed. So each second has a scheduler of its
//! own, which is dropped with all its jobs when the second is over: a thousand entries of one second cost one scan, and
//! none of them delays another second.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use job_scheduler_ng::{Job, JobScheduler, Schedule};
use parking_lot::Mutex;

use super::LiveEntry;
use crate::clock::{now_ms, on_machine_clock};

/// A date as the scheduler reads it, or why it has none.
type Date = Result<Schedule, String>;

/// The schedulers of the seconds that come soon, by their seconds in unix milliseconds.
pub(super) struct DueJobs {
    seconds: BTreeMap<i64, Second>,
    /// Makes a date of a second. Tests have others.
    date_of: fn(DateTime<Utc>) -> Date,
}

/// One second, and the entries that are due at it.
struct Second {
    date: Schedule,
    /// Before the date: a job runs at dates after its last tick, and at its first tick at none if it has no last one.
    before: DateTime<Utc>,
    scheduler: JobScheduler<'static>,
    /// Jobs that have not run.
    jobs: usize,
    /// The entries whose jobs have run, until the tick has ended.
    due: Arc<Mutex<Vec<Arc<LiveEntry>>>>,
}

impl DueJobs {
    pub(super) fn new(date_of: fn(DateTime<Utc>) -> Date) -> Self {
        Self {
            seconds: BTreeMap::new(),
            date_of,
        }
    }

    /// The entry is to be marked as due at that second. A second that the scheduler does not take is logged; the timer finds
    /// its entries on the due queue.
    pub(super) fn add(&mut self, due_ms: i64, entry: &Arc<LiveEntry>) {
        let second = match self.seconds.entry(due_ms) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match Second::new(due_ms, self.date_of) {
                Ok(second) => place.insert(second),
                Err(cause) => {
                    let name = &entry.config.name;
                    log::error!(
                        "cron `{name}`: the scheduler does not take its next fire, unix ms {due_ms}: {cause}"
                    );
                    return;
                }
            },
        };
        second.add(Arc::clone(entry));
    }

    /// Runs the jobs whose second has come, and answers their entries: by their seconds, those of one second in the order in
    /// which they were added. No job is left of the seconds until `now_ms`.
    pub(super) fn run(&mut self, now_ms: i64) -> Vec<(i64, Arc<LiveEntry>)> {
        let mut due = Vec::new();
        while let Some(mut first) = self.seconds.first_entry() {
            let due_ms = *first.key();
            let second = first.get_mut();
            due.extend(second.run().into_iter().map(|entry| (due_ms, entry)));
            if second.jobs > 0 && due_ms > now_ms {
                // It is still to come, as are those after it; or it came during the tick, and the next one runs the rest.
                break;
            }
            first.remove();
        }
        due
    }

    /// The next second that has jobs.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.seconds.keys().next().copied()
    }

    /// How long it is until then, by the scheduler.
    pub(super) fn wait(&self) -> Option<Duration> {
        let (due_ms, second) = self.seconds.first_key_value()?;
        // It is the time from the begin of its scan on.
        let asked = Instant::now();
        let wait = second.scheduler.time_till_next_job();
        let wait = wait.saturating_sub(asked.elapsed());
        // Of the test's clock the scheduler knows whole seconds.
        #[cfg(test)]
        let wait = wait.min(crate::clock::until(*due_ms));
        // Of a date that is over the scheduler knows no time. It may have come while it was asked.
        match *due_ms <= now_ms() {
            true => Some(Duration::ZERO),
            false => Some(wait),
        }
    }

    pub(super) fn clear(&mut self) {
        self.seconds.clear();
    }
}

impl Second {
    fn new(due_ms: i64, date_of: fn(DateTime<Utc>) -> Date) -> Result<Self, String> {
        let due = DateTime::from_timestamp_millis(due_ms).ok_or("it is no date")?;
        let due = on_machine_clock(due);
        Ok(Self {
            date: date_of(due)?,
            before: due - TimeDelta::seconds(1),
            scheduler: JobScheduler::new(),
            jobs: 0,
            due: Arc::default(),
        })
    }

    fn add(&mut self, entry: Arc<LiveEntry>) {
        let due = Arc::clone(&self.due);
        let mark = move || due.lock().push(Arc::clone(&entry));
        let mut job = Job::new(self.date.clone(), mark);
        job.last_tick(Some(self.before.fixed_offset()));
        self.scheduler.add(job);
        self.jobs += 1;
    }

    /// The entries whose jobs run now.
    fn run(&mut self) -> Vec<Arc<LiveEntry>> {
        self.scheduler.tick();
        let due = mem::take(&mut *self.due.lock());
        self.jobs -= due.len();
        due
    }
}

/// That second of that year. The scheduler knows the years until 2100.
pub(super) fn date_of(due: DateTime<Utc>) -> Date {
    let (second, minute, hour) = (due.second(), due.minute(), due.hour());
    let (day, month, year) = (due.day(), due.month(), due.year());
    format!("{second} {minute} {hour} {day} {month} * {year}")
        .parse()
        .map_err(|cause| format!("{cause}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;
    use crate::config::Misfire;
    use crate::cron::entry::tests::entry;

    fn entries(count: usize) -> Vec<Arc<LiveEntry>> {
        let one = |_| Arc::new(entry("* * * * * *", Misfire::Skip));
        (0..count).map(one).collect()
    }

    fn machine_ms() -> i64 {
        Utc::now().timestamp_millis()
    }

    /// On the machine's own clock, as in the daemon.
    fn at(due_ms: i64, entries: &[Arc<LiveEntry>]) -> Second {
        let due = DateTime::from_timestamp_millis(due_ms).unwrap();
        let mut second = Second {
            before: due - TimeDelta::seconds(1),
            date: date_of(due).unwrap(),
            ..Second::new(due_ms, date_of).unwrap()
        };
        for entry in entries {
            second.add(Arc::clone(entry));
        }
        second
    }

    #[test]
    fn jobs_run_once_at_their_second_however_often_it_ticks() {
        let entries = entries(1000);
        let due_ms = (machine_ms() / 1000 + 2) * 1000;
        let mut second = at(due_ms, &entries);
        let mut ran = Vec::new();
        let mut waits = Vec::new();
        while ran.len() < entries.len() {
            let before_ms = machine_ms();
            let now = second.run();
            assert!(
                now.is_empty() || machine_ms() >= due_ms,
                "early by {} ms",
                due_ms - before_ms
            );
            assert!(
                !now.is_empty() || before_ms < due_ms,
                "its second came and nothing ran"
            );
            ran.extend(now);
            let wait = second.scheduler.time_till_next_job();
            waits.push((due_ms - machine_ms(), wait));
            // Half of it each time: its last ticks have all fractions of a second.
            thread::sleep(wait / 2 + Duration::from_micros(100));
        }
        assert!(second.run().is_empty(), "a second time");
        assert!(waits.len() > 3, "{waits:?}");
        for (left_ms, wait) in waits.into_iter().filter(|(left_ms, _)| *left_ms > 0) {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap();
            assert!(wait_ms >= left_ms - 1, "{wait_ms} of {left_ms} ms");
        }
        // In no order: a tick that the second begins in runs the later half of the jobs, and the next tick the rest.
        let each_once: HashSet<*const LiveEntry> = ran.iter().map(Arc::as_ptr).collect();
        assert_eq!((each_once.len(), ran.len()), (entries.len(), entries.len()));
    }

    #[test]
    fn a_skipped_second_runs_at_the_next_tick() {
        for days in [0, 1, 366, 3000] {
            let skipped_ms = (machine_ms() / 1000 - days * 24 * 3600) * 1000;
            assert_eq!(at(skipped_ms, &entries(2)).run().len(), 2, "{days} days");
        }
    }

    #[test]
    fn dates_have_their_year() {
        let date = |text: &str| date_of(text.parse().unwrap());
        let leap_day = date("2028-02-29T23:59:59Z").unwrap();
        let all: Vec<DateTime<Utc>> = leap_day.after(&DateTime::UNIX_EPOCH).take(2).collect();
        assert_eq!(
            all,
            ["2028-02-29T23:59:59Z".parse::<DateTime<Utc>>().unwrap()]
        );
        assert!(date("2100-12-31T23:59:59Z").is_ok());
        assert!(date("2101-01-01T00:00:00Z").is_err());
    }
}
