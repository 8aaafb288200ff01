//! The thread that packs and deletes old log files, away from the threads that log.
//!
//! It starts with the first file that is rolled, or with the daemon's log. Besides the files that
//! are reported to it, it cleans the whole log directory once an hour: most loggers are used
//! by cron processes only, which end before their files are packed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{Local, NaiveDate};
use parking_lot::Mutex;

use super::rolling::Spec;
use super::sweep::sweep;
use super::{line, stderr};
use crate::task::{panic_point, restart_thread_on_panic};

/// The first round comes after short processes (a cron run, a command) have ended.
const FIRST_ROUND: Duration = Duration::from_secs(60);
/// Files are due by the day and by the hundred megabytes; an hour is soon enough.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// How long a cancelled file may take to be left behind tidily; one chunk takes milliseconds.
const CANCEL: Duration = Duration::from_millis(200);

/// The hourly work; it checks the flag between files, which is up when it must end.
pub(super) type Round = Box<dyn Fn(&AtomicBool) + Send>;

enum Order {
    Sweep(Spec, NaiveDate),
    /// From now on, do this each hour.
    Rounds(Round),
    Stop,
}

/// The thread's other end.
pub(super) struct Keeper {
    orders: Sender<Order>,
    stop: Arc<AtomicBool>,
    ended: Mutex<Receiver<()>>,
}

/// The keeper of this process, started on first use.
pub(super) fn keeper() -> &'static Keeper {
    static KEEPER: OnceLock<Keeper> = OnceLock::new();
    KEEPER.get_or_init(Keeper::start)
}

/// Reports to the keeper of this process that a file of this log was rolled.
pub(super) fn rolled(spec: &Spec, today: NaiveDate) {
    keeper().order(Order::Sweep(spec.clone(), today));
}

impl Keeper {
    fn start() -> Self {
        let (orders, inbox) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let body = move || {
            let mut round = None;
            restart_thread_on_panic("the packing of log files", || {
                work(&inbox, &mut round, &flag);
            });
            drop(ending);
        };
        if let Err(error) = thread::Builder::new().name("logs".to_owned()).spawn(body) {
            let text = format!("log files are not packed by this process: no thread: {error}");
            // Not through `log`: this may run while a line is being written, and would wait for it.
            stderr::say(&line::warning(Local::now(), &text));
        }
        let ended = Mutex::new(ended);
        Self {
            orders,
            stop,
            ended,
        }
    }

    /// Does `round` each hour from now on.
    pub(super) fn each_hour(&self, round: Round) {
        self.order(Order::Rounds(round));
    }

    /// Ends the thread: after the orders that it has, and at the latest after `bound`. What is left
    /// undone stays on disk as it was, for the next process.
    pub(super) fn end(&self, bound: Duration) {
        self.order(Order::Stop);
        let ended = self.ended.lock();
        if ended.recv_timeout(bound) == Err(RecvTimeoutError::Timeout) {
            self.stop.store(true, Ordering::Relaxed);
            // Nothing is ever sent: this returns when the thread drops its end.
            let _ = ended.recv_timeout(CANCEL);
        }
    }

    fn order(&self, order: Order) {
        // Fails only after the end, when the next process does it.
        let _ = self.orders.send(order);
    }
}

fn work(inbox: &Receiver<Order>, round: &mut Option<Round>, stop: &AtomicBool) {
    let mut next = Instant::now() + FIRST_ROUND;
    while !stop.load(Ordering::Relaxed) {
        match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Order::Sweep(spec, today)) => {
                panic_point("log files", &spec.names.dir().to_string_lossy());
                sweep(&spec, today, stop);
            }
            Ok(Order::Rounds(new)) => *round = Some(new),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + ROUND;
                if let Some(round) = round {
                    round(stop);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::logs::Limits;
    use crate::logs::names::Names;
    use crate::task::points;

    /// Far beyond what a test takes; reached only when it fails.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_waits_for_its_orders_and_may_come_twice() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("app-20261122.1.log"), "line\n").unwrap();
        let spec = Spec {
            names: Names::new(dir.path(), "app"),
            limits: Limits {
                compress: true,
                ..Limits::default()
            },
        };
        let keeper = Keeper::start();
        // A panic costs the order it came with, and the thread goes on.
        let broken = Names::new(dir.path().join("broken"), "app");
        points::arm("log files", &broken.dir().to_string_lossy());
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        keeper.order(Order::Sweep(
            Spec {
                names: broken,
                ..spec.clone()
            },
            today,
        ));
        keeper.order(Order::Sweep(spec.clone(), today));
        keeper.end(PATIENCE);
        assert!(dir.path().join("app-20261122.1.log.gz").exists());
        keeper.order(Order::Sweep(spec, today));
        keeper.end(PATIENCE);
    }
}
