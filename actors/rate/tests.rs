use std::num::NonZeroU32;

use tokio::time::sleep;

use super::*;
use crate::config::BatchLimits;
use crate::consumer::Work;
use crate::job::{Consumer, Disposition};
use crate::stop::StopSignal;
use crate::testing_support::{FakeSource, Seen, batch, single, work};

/// As the keepers answer, by the paused clock.
pub(crate) struct Scripted {
    begun: Instant,
    free_us: Mutex<i64>,
    is_away: AtomicBool,
    hangs: AtomicBool,
}

impl Scripted {
    pub(super) async fn take(&self, ask: &PermitAsk) -> Result<Granted, NoAnswer> {
        while self.hangs.load(Relaxed) {
            sleep(Duration::from_millis(10)).await;
        }
        if self.is_away.load(Relaxed) {
            return Err(NoAnswer::Why("away".to_owned()));
        }
        let passed = i64::try_from(self.begun.elapsed().as_micros()).unwrap();
        let mut free_us = self.free_us.lock();
        let (free, granted) = ask.grant(*free_us, 1_764_000_000_000_000 + passed);
        *free_us = free;
        Ok(granted)
    }
}

fn limit(text: &str) -> Option<RateLimit> {
    let limit = RateLimit::parse(text);
    assert!(limit.is_some());
    limit
}

fn scripted(text: &str) -> Arc<Limiter> {
    let scripted = Scripted {
        begun: Instant::now(),
        free_us: Mutex::new(0),
        is_away: AtomicBool::new(false),
        hangs: AtomicBool::new(false),
    };
    Limiter::kept("q", limit(text), Some(Keeper::Scripted(scripted)))
}

fn set_away(rate: &Limiter, is_away: bool) {
    if let Some(Keeper::Scripted(scripted)) = &rate.keeper {
        scripted.is_away.store(is_away, Relaxed);
    }
}

fn set_hanging(rate: &Limiter, hangs: bool) {
    if let Some(Keeper::Scripted(scripted)) = &rate.keeper {
        scripted.hangs.store(hangs, Relaxed);
    }
}

fn limited(rate: &Arc<Limiter>, source: &Arc<FakeSource>, handler: Consumer) -> Work {
    Work {
        rate: Arc::clone(rate),
        batch: BatchLimits {
            size: NonZeroU32::new(30).unwrap(),
            ..BatchLimits::default()
        },
        ..work(source, handler)
    }
}

/// Consumers of a queue with this limit, until the stop begins.
fn start(rate: &Arc<Limiter>, source: &Arc<FakeSource>, handler: Consumer, n: usize) -> StopSignal {
    let stop = StopSignal::new();
    let work = limited(rate, source, handler);
    for _ in 0..n {
        actix_rt::spawn(work.clone().run(stop.listen()));
    }
    stop
}

/// A handler that takes this long, and notes when it started.
fn noting(starts: &Seen<Instant>, takes: Duration) -> Consumer {
    let starts = starts.clone();
    single(move |_| {
        starts.note(Instant::now());
        async move {
            sleep(takes).await;
            Ok(())
        }
    })
}

/// The most of them in any period of this length.
fn most_within(starts: &[Instant], period: Duration) -> usize {
    let end_of = |at: usize| starts.partition_point(|start| *start < starts[at] + period);
    let within = (0..starts.len()).map(|at| end_of(at) - at);
    within.max().unwrap_or(0)
}

#[actix::test]
async fn consumers_start_no_more_than_the_limit_and_reach_it() {
    tokio::time::pause();
    for (takes_ms, consumers) in [(0, 1), (0, 8), (5, 4), (100, 15), (700, 100)] {
        let (rate, source, starts) = (scripted("100/s"), FakeSource::new(), Seen::new());
        (1..=5_000).for_each(|id| source.offer([id]));
        let stop = start(
            &rate,
            &source,
            noting(&starts, Duration::from_millis(takes_ms)),
            consumers,
        );
        sleep(Duration::from_secs(20)).await;
        stop.quiet();
        let starts = starts.all();
        let most = most_within(&starts, Duration::from_secs(5));
        assert!(most <= 601, "{takes_ms} ms, {consumers}: {most}");
        assert!(
            starts.len() >= 1_700,
            "{takes_ms} ms, {consumers}: {}",
            starts.len()
        );
        assert_eq!(rate.holds_back(), HoldsBack::Reached);
        assert_eq!(
            rate.holds_back(),
            HoldsBack::Unknown,
            "as nothing has started since"
        );
        sleep(Duration::from_secs(2)).await;
    }
}

#[actix::test]
async fn each_message_of_a_batch_counts() {
    tokio::time::pause();
    let (rate, source, sizes) = (scripted("20/s"), FakeSource::new(), Seen::new());
    source.offer(1..=1_000);
    let noted = sizes.clone();
    let handler = batch(move |messages| {
        noted.note(messages.len());
        let outcomes = messages.into_iter().map(|_| Ok(())).collect();
        async move { outcomes }
    });
    let stop = start(&rate, &source, handler, 3);
    sleep(Duration::from_secs(20)).await;
    stop.quiet();
    let started: usize = sizes.all().iter().sum();
    assert!((320..=421).contains(&started), "{started}");
}

#[actix::test]
async fn what_waits_for_permits_is_held_by_nobody() {
    tokio::time::pause();
    let (rate, source, starts) = (scripted("1/m"), FakeSource::new(), Seen::new());
    (1..=100).for_each(|id| source.offer([id]));
    let stop = start(&rate, &source, noting(&starts, Duration::ZERO), 5);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(starts.len(), 1);
    assert_eq!(source.out(), [0; 0]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(starts.len(), 2);
    assert_eq!(source.out(), [0; 0]);
    let released = source.ended(&Disposition::Release).len();
    assert!(released <= 20, "not again and again: {released}");
    stop.quiet();
}

#[actix::test]
async fn without_an_answer_nothing_starts_and_nothing_is_held() {
    tokio::time::pause();
    let (rate, source, starts) = (scripted("100/s"), FakeSource::new(), Seen::new());
    set_away(&rate, true);
    (1..=10).for_each(|id| source.offer([id]));
    let stop = start(&rate, &source, noting(&starts, Duration::ZERO), 2);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(starts.len(), 0);
    assert_eq!(source.out(), [0; 0]);
    set_away(&rate, false);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(starts.len(), 10);
    stop.quiet();
}

#[actix::test]
async fn a_silent_rate_keeper_blocks_no_stop() {
    tokio::time::pause();
    let (rate, source, starts) = (scripted("100/s"), FakeSource::new(), Seen::new());
    set_hanging(&rate, true);
    (1..=10).for_each(|id| source.offer([id]));
    let consumer = || limited(&rate, &source, noting(&starts, Duration::ZERO));
    let stop = StopSignal::new();
    let hanging = actix_rt::spawn(consumer().run(stop.listen()));
    // A little longer than a message is held for its permit: none is fetched after that.
    sleep(PATIENCE + Duration::from_millis(100)).await;
    for _ in 0..200 {
        assert_eq!(source.out(), [0; 0]);
        sleep(Duration::from_millis(95)).await;
    }
    assert_eq!(starts.len(), 0);
    stop.quiet();
    let ended = timeout(Duration::from_secs(1), hanging).await;
    assert!(ended.is_ok(), "it waits for permits");
    set_hanging(&rate, false);
    let stop = StopSignal::new();
    actix_rt::spawn(consumer().run(stop.listen()));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(starts.len(), 10);
    stop.quiet();
}

#[actix::test]
async fn an_idle_queue_takes_no_permits() {
    tokio::time::pause();
    let (rate, source, starts) = (scripted("1/m"), FakeSource::new(), Seen::new());
    let stop = start(&rate, &source, noting(&starts, Duration::ZERO), 5);
    sleep(Duration::from_secs(600)).await;
    let offered = Instant::now();
    source.offer([1]);
    let first = starts.wait_for(1).await[0];
    assert!(first < offered + Duration::from_secs(1));
    stop.quiet();
}

#[actix::test]
async fn a_limit_comes_and_goes_with_a_reload() {
    tokio::time::pause();
    let (rate, source, starts) = (scripted("1/m"), FakeSource::new(), Seen::new());
    (1..=100).for_each(|id| source.offer([id]));
    let stop = start(&rate, &source, noting(&starts, Duration::ZERO), 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(starts.len(), 1);
    rate.set(None);
    sleep(Duration::from_secs(70)).await;
    assert_eq!(
        starts.len(),
        100,
        "at the latest when a wait of before is over"
    );
    rate.set(limit("1/m"));
    (101..=200).for_each(|id| source.offer([id]));
    sleep(Duration::from_secs(10)).await;
    assert!(starts.len() < 110, "{}", starts.len());
    stop.quiet();
}
