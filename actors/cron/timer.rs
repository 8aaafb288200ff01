//! The timer: job_scheduler_ng, set to the next second that is due.
//!
//! Its jobs carry a fixed offset from UTC, which is wrong for every zone whose clock changes, so the seconds are worked
//! out by `Schedule` in the entry's own zone and handed over as a date in UTC: one job, set anew after each ring.

use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};
use job_scheduler_ng::{Cron, Job, JobScheduler};
use uuid::Uuid;

use crate::clock::now_utc;

/// Holds one job: the next ring.
pub(super) struct Timer {
    scheduler: JobScheduler<'static>,
    job: Option<(DateTime<Utc>, Uuid)>,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            scheduler: JobScheduler::new(),
            job: None,
        }
    }

    /// Sets the timer, and answers how long it is until it rings.
    pub(super) fn set(&mut self, due: DateTime<Utc>) -> Duration {
        let now = now_utc();
        if due <= now {
            return Duration::ZERO;
        }
        if self.job.is_none_or(|(set, _)| set != due) {
            if let Some((_, job)) = self.job.take() {
                self.scheduler.remove(job);
            }
            match date(due) {
                Ok(date) => {
                    let job = self.scheduler.add(Job::new(date, || {}));
                    self.job = Some((due, job));
                }
                // Every date is a right expression; were one not, the sleep below is as good.
                Err(cause) => log::error!("the timer cannot be set to {due}: {cause}"),
            }
        }
        // The scheduler knows no years, so a date beyond this one rings early; whoever wakes up looks at the clock.
        let until_due = (due - now).to_std().unwrap_or_default();
        match self.job {
            Some(_) => self.scheduler.time_till_next_job().min(until_due),
            None => until_due,
        }
    }

    /// Has the scheduler note that time went on.
    pub(super) fn tick(&mut self) {
        self.scheduler.tick();
    }
}

fn date(due: DateTime<Utc>) -> Result<Cron, String> {
    let (second, minute, hour) = (due.second(), due.minute(), due.hour());
    let (day, month) = (due.day(), due.month());
    format!("{second} {minute} {hour} {day} {month} *")
        .parse()
        .map_err(|cause| format!("{cause:?}"))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn it_rings_at_the_second_it_is_set_to() {
        let mut timer = Timer::new();
        let due = (now_utc() + TimeDelta::seconds(90))
            .with_nanosecond(0)
            .unwrap();
        let wait = timer.set(due);
        let expected = (due - now_utc()).to_std().unwrap();
        assert!(
            wait.abs_diff(expected) < Duration::from_millis(50),
            "{wait:?}"
        );
        assert_eq!(timer.set(now_utc() - TimeDelta::seconds(1)), Duration::ZERO);
    }

    #[test]
    fn a_date_beyond_this_year_does_not_overflow() {
        let mut timer = Timer::new();
        let far = "2048-02-29T00:00:00Z".parse().unwrap();
        assert!(timer.set(far) > Duration::ZERO);
        timer.tick();
    }
}
