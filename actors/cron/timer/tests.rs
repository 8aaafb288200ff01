//! The timer on a clock that tests set; what runs the jobs is the scheduler.

use super::*;
use crate::clock::{jumps::jump, now_ms};
use crate::config::Misfire;
use crate::cron::entry::tests::entry;

impl Timer {
    /// The scheduler takes no date.
    pub(in crate::cron) fn that_takes_no_date() -> Self {
        Self::with_jobs(DueJobs::new(|_| Err("by a test".to_owned())))
    }

    /// The scheduler takes each date for one that is over.
    pub(in crate::cron) fn that_forgets() -> Self {
        Self::with_jobs(DueJobs::new(|_| {
            date_of("2000-01-01T00:00:00Z".parse().unwrap())
        }))
    }

    pub(in crate::cron) fn len(&self) -> usize {
        self.due_queue.len()
    }

    /// The scheduler gets the dates by its own clock as it is now.
    pub(super) fn make_jobs_anew(&mut self) {
        let until_ms = self.jobs_until_ms;
        self.clear_jobs();
        self.make_jobs(until_ms);
    }

    /// As the actor does.
    fn ring(&mut self) -> Vec<i64> {
        let due = self.take_due(now_ms());
        self.schedule_soon(now_ms());
        due.into_iter().map(|(due_ms, _)| due_ms).collect()
    }

    fn jobs_until_next(&self) -> Option<i64> {
        self.next_ms().map(|ms| ms - this_second())
    }
}

fn this_second() -> i64 {
    now_ms() / 1000 * 1000
}

fn any() -> Arc<LiveEntry> {
    Arc::new(entry("* * * * * *", Misfire::Skip))
}

/// A thread that waits for nothing: its clock stands still, but for leaps.
#[tokio::test(start_paused = true)]
async fn entries_are_due_at_their_second_and_not_before() {
    let mut timer = Timer::new();
    let now = this_second();
    for after_s in [3, 1, 2, 1] {
        timer.add(Some(now + after_s * 1000), any());
    }
    assert_eq!(timer.ring(), [0; 0]);
    for after_s in 1..=3 {
        jump(1);
        let expected = vec![now + after_s * 1000; if after_s == 1 { 2 } else { 1 }];
        // The scheduler's jobs, and not what is found beside them.
        timer.make_jobs_anew();
        timer.make_jobs(now_ms());
        let ran = timer.jobs.run(now_ms());
        let ran: Vec<i64> = ran.into_iter().map(|(due_ms, _)| due_ms).collect();
        assert_eq!(ran, expected, "of its own");
        assert_eq!(timer.ring(), expected);
        assert_eq!(timer.ring(), [0; 0], "twice");
    }
    assert_eq!(timer.wait(), None);
}

#[tokio::test(start_paused = true)]
async fn only_entries_that_are_due_soon_are_jobs() {
    let mut timer = Timer::new();
    let now = this_second();
    let year_ms = 366 * 24 * 3600 * 1000;
    timer.add(Some(now + year_ms), any());
    timer.schedule_soon(now_ms());
    assert_eq!(timer.next_ms(), None);
    assert_eq!(timer.wait(), Some(LONGEST_SLEEP));
    // Added after that.
    timer.add(Some(now + 1000), any());
    assert_eq!(timer.jobs_until_next(), Some(1000));
    assert!(timer.wait().unwrap() <= LONGEST_SLEEP);
    timer.take_all();
    assert_eq!((timer.next_ms(), timer.wait()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn seconds_that_a_leap_skipped_are_due_at_once_and_once() {
    const HOUR_S: i64 = 3600;
    let mut timer = Timer::new();
    let now = this_second();
    let after_s = [1, 2, 600, HOUR_S, HOUR_S + 1];
    for after_s in after_s {
        timer.add(Some(now + after_s * 1000), any());
    }
    assert_eq!(timer.ring(), [0; 0]);
    jump(HOUR_S);
    let skipped: Vec<i64> = after_s[..4].iter().map(|s| now + s * 1000).collect();
    timer.make_jobs(now_ms());
    timer.make_jobs_anew();
    assert_eq!(timer.jobs.run(now_ms()).len(), 4, "by the scheduler");
    assert_eq!(timer.ring(), skipped);
    assert_eq!(timer.ring(), [0; 0]);
    jump(1);
    assert_eq!(timer.ring(), [now + (HOUR_S + 1) * 1000]);
}

#[tokio::test(start_paused = true)]
async fn jobs_go_with_their_entries() {
    let mut timer = Timer::new();
    let (kept, gone) = (any(), Arc::new(entry("1 * * * * *", Misfire::Skip)));
    let due = this_second() + 1000;
    timer.add(Some(due), Arc::clone(&gone));
    timer.add(Some(due), Arc::clone(&kept));
    timer.schedule_soon(now_ms());
    let renewed = any();
    timer.renew(|key| (key == kept.key).then(|| Arc::clone(&renewed)));
    timer.schedule_soon(now_ms());
    jump(1);
    let taken = timer.take_due(now_ms());
    let [(_, taken)] = &taken[..] else {
        panic!("{}", taken.len())
    };
    assert!(Arc::ptr_eq(taken, &renewed), "as it is now");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_fire_is_due_within_a_second() {
    for mut timer in [Timer::that_takes_no_date(), Timer::that_forgets()] {
        let due = this_second() + 1000;
        timer.add(Some(due), any());
        timer.schedule_soon(now_ms());
        let mut slept = Duration::ZERO;
        let mut taken = timer.ring();
        while taken.is_empty() {
            let wait = timer.wait().unwrap();
            assert!(wait > Duration::ZERO, "it would never sleep");
            tokio::time::sleep(wait).await;
            slept += wait;
            taken = timer.ring();
        }
        assert_eq!(taken, [due]);
        let late = now_ms() - due;
        assert!(
            (FORGOTTEN_MS..=FORGOTTEN_MS + 1001).contains(&late),
            "{late} ms"
        );
        assert!(slept <= Duration::from_secs(3), "{slept:?}");
    }
}
