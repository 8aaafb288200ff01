//! On the System's thread and the code's own, with the clock of the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::job::Handler as JobHandler;
use crate::stop::StopSignal;

/// Longer than any run of a test here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Started {
    addr: Addr<OwnCodeActor>,
    /// The daemon's.
    stop: StopSignal,
}

/// Code that calls the function with the number of its run, from 1; the receiver gets each number when the run begins.
fn started(
    run: impl Fn(usize) -> LocalBoxFuture<'static, JobResult> + Send + Sync + 'static,
) -> (Started, UnboundedReceiver<usize>) {
    let (begun, runs) = unbounded_channel();
    let count = AtomicUsize::new(0);
    let code = OwnCode {
        place: "here".to_owned(),
        handler: JobHandler::of(move |()| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            begun.send(number).unwrap();
            run(number)
        }),
    };
    let stop = StopSignal::new();
    let addr = OwnCodeActor::new(code, stop.listen(), GoneNotice::none()).start();
    (Started { addr, stop }, runs)
}

async fn next(runs: &mut UnboundedReceiver<usize>) -> usize {
    let number = tokio::time::timeout(PATIENCE, runs.recv()).await;
    number.unwrap().unwrap()
}

async fn stop(code: &Started, within: Duration) -> bool {
    code.stop.stop(Instant::now() + within);
    code.addr.send(AwaitEnd).await.unwrap()
}

#[actix_rt::test]
async fn code_that_fails_or_panics_is_started_again() {
    let (code, mut runs) = started(|number| {
        async move {
            match number {
                1 => Err("the port is taken".into()),
                2 => panic!("by a test"),
                3 => Err(JobError::retry_in(Duration::from_millis(1), "again soon")),
                _ => Ok(()),
            }
        }
        .boxed_local()
    });
    for number in 1..=4 {
        assert_eq!(next(&mut runs).await, number);
    }
    assert!(stop(&code, PATIENCE).await);
    assert!(runs.try_recv().is_err(), "what returned `Ok` is over");
}

#[actix_rt::test]
async fn code_that_discards_itself_stays_ended() {
    let (code, mut runs) =
        started(|_| async { Err(JobError::discard("not on this machine")) }.boxed_local());
    assert_eq!(next(&mut runs).await, 1);
    // Later than the longest first pause.
    tokio::time::sleep(2 * RESTART.base).await;
    assert!(stop(&code, PATIENCE).await);
    assert!(runs.try_recv().is_err());
}

#[actix_rt::test]
async fn failed_code_ends_with_all_that_it_started() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let (code, mut runs) = started(move |number| {
        let held = Arc::clone(&held);
        async move {
            actix_rt::spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            if number == 1 {
                Err("once".into())
            } else {
                Ok(())
            }
        }
        .boxed_local()
    });
    assert_eq!(next(&mut runs).await, 1);
    assert_eq!(next(&mut runs).await, 2);
    let begun = Instant::now();
    // The test's own, the code's, and that of the task of the run that went well.
    while Arc::strong_count(&alive) != 3 {
        assert!(begun.elapsed() < PATIENCE, "{}", Arc::strong_count(&alive));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(stop(&code, PATIENCE).await);
    assert_eq!(Arc::strong_count(&alive), 3, "it lives on to the end");
}

#[actix_rt::test]
async fn code_that_runs_on_is_dropped_at_the_deadline() {
    struct Dropped(std::sync::mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (sender, dropped) = std::sync::mpsc::channel();
    let (code, mut runs) = started(move |_| {
        let guard = Dropped(sender.clone());
        async move {
            let _guard = guard;
            std::future::pending().await
        }
        .boxed_local()
    });
    assert_eq!(next(&mut runs).await, 1);
    assert!(!stop(&code, Duration::from_millis(10)).await);
    dropped.recv_timeout(PATIENCE).unwrap();
    assert!(runs.try_recv().is_err(), "nothing starts during a stop");
}

#[actix_rt::test]
async fn code_that_blocks_its_thread_holds_up_no_timer() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let (code, mut runs) = started(move |_| {
        let _ = blocked.lock().unwrap().recv_timeout(PATIENCE);
        async { Ok(()) }.boxed_local()
    });
    assert_eq!(next(&mut runs).await, 1);
    // It blocks, and timers and actors of this thread go on.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!stop(&code, Duration::from_millis(10)).await);
    release.send(()).unwrap();
}

#[test]
fn pauses_grow_until_code_has_run_long() {
    let code = OwnCode {
        place: "here".to_owned(),
        handler: JobHandler::of(|()| async { Ok(()) }.boxed_local()),
    };
    let mut actor = OwnCodeActor::new(code, StopSignal::new().listen(), GoneNotice::none());
    let error: JobError = "any".into();
    let mut pause = |lived| actor.next_run(&error, lived).unwrap();
    let first = pause(Duration::ZERO);
    let later = (0..20).map(|_| pause(Duration::ZERO)).last().unwrap();
    assert!(first <= RESTART.base.mul_f64(1.25), "{first:?}");
    assert!(later >= RESTART.max.mul_f64(0.75), "{later:?}");
    let again = pause(LIVED_LONG);
    assert!(again <= RESTART.base.mul_f64(1.25), "{again:?}");
}
