//! Starts processes on a thread of its own, and reaps them there.
//!
//! A start blocks for milliseconds, which the control thread must not: a hundred fires of one
//! second would hold up each other and everything else. Reaping is this thread's as well and needs
//! no one to ask for it, so a [`Child`] that is dropped leaves no zombie.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, SpawnError, Started};
use super::exit::{ExitStatus, reap};
use super::machine;
use super::signals::Signals;
use crate::state::PrintedPart;

/// Most starts that wait: as many as 10 s (`misfire_grace`) suffice for, at 5 ms each. What waits
/// longer would be too late anyway.
const QUEUE: usize = 2_000;

/// How often, and after what pause, a program is tried whose file is just being written: 0.2 s in
/// all, for an upgrade that copies. The ones that wait behind want the same file.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The most fresh starts in a row while late ones wait, which must come to an end too.
const FRESH_IN_A_ROW: u32 = 16;

/// Which starts go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Fresh,
    /// After those that are fresh.
    Late,
}

/// Starts processes; its thread ends when this is dropped, after the waiting ones were started.
///
/// The processes live on, and are no longer reaped by us: drop it when the daemon ends.
#[derive(Debug)]
pub(crate) struct Spawner {
    fresh: mpsc::Sender<Order>,
    late: mpsc::Sender<Order>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its pid, which is also its process group and session.
    pub(crate) pid: i32,
    /// When it started (see [`machine::start_ticks`]): with the pid it names the process.
    pub(crate) start_ticks: Option<u64>,
    /// Where it prints to.
    pub(crate) output: PathBuf,
    /// How long that file was when it was started.
    pub(crate) output_from: u64,
    /// The part of that file that it prints.
    pub(crate) printed: Option<PrintedPart>,
    /// Why its output goes to `/dev/null` and not to the file asked for.
    pub(crate) output_error: Option<io::Error>,
    /// Why the file it prints to was not rolled though it is full.
    pub(crate) output_stuck: Option<io::Error>,
    signals: Signals,
    exit: oneshot::Receiver<ExitStatus>,
}

impl Child {
    /// For the caller that ends it, while another caller waits for the end.
    pub(crate) fn signals(&self) -> Signals {
        self.signals.clone()
    }

    /// Waits until it has ended and was reaped.
    pub(crate) async fn exited(self) -> ExitStatus {
        self.exit.await.unwrap_or(ExitStatus::Unknown)
    }
}

#[derive(Debug)]
enum Order {
    Start {
        command: Box<Command>,
        reply: oneshot::Sender<Result<Child, SpawnError>>,
    },
    #[cfg(test)]
    Panic,
}

impl Spawner {
    /// Starts the thread `cron-spawn`.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or no descriptors for its runtime.
    pub(crate) fn start() -> io::Result<Self> {
        let (fresh, fresh_queue) = mpsc::channel(QUEUE);
        let (late, late_queue) = mpsc::channel(QUEUE);
        let queue = Queue {
            fresh: fresh_queue,
            late: late_queue,
            in_a_row: 0,
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("cron-spawn".into());
        thread.spawn(move || serve(&runtime, queue))?;
        Ok(Self { fresh, late })
    }

    /// Has the process started; the order of a fresh one is given at once, the future only waits for the answer.
    ///
    /// # Errors
    ///
    /// One variant per action that can fail, with what to do about it. The process does not run.
    pub(crate) fn spawn(
        &self,
        command: Command,
        turn: Turn,
    ) -> impl Future<Output = Result<Child, SpawnError>> + Send + use<> {
        let program = command.name();
        let (reply, answer) = oneshot::channel();
        let command = Box::new(command);
        let order = Order::Start { command, reply };
        // A fresh one has its place in the queue from now on; a late one waits until there is room.
        let (sent, later) = match turn {
            Turn::Fresh => (self.fresh.try_send(order), None),
            Turn::Late => (Ok(()), Some((self.late.clone(), order))),
        };
        async move {
            if let Err(mpsc::error::TrySendError::Full(_)) = sent {
                return Err(SpawnError::Busy {
                    program,
                    waiting: QUEUE,
                });
            }
            if let Some((late, order)) = later {
                // Without the thread there is no answer either.
                let _ = late.send(order).await;
            }
            answer
                .await
                .unwrap_or(Err(SpawnError::NoAnswer { program }))
        }
    }
}

/// What waits to be started.
struct Queue {
    fresh: mpsc::Receiver<Order>,
    late: mpsc::Receiver<Order>,
    /// Fresh ones since the last late one.
    in_a_row: u32,
}

impl Queue {
    async fn next(&mut self) -> Option<Order> {
        if self.in_a_row >= FRESH_IN_A_ROW {
            self.in_a_row = 0;
            if let Ok(order) = self.late.try_recv() {
                return Some(order);
            }
        }
        tokio::select! {
            biased;
            Some(order) = self.fresh.recv() => {
                self.in_a_row += 1;
                Some(order)
            }
            Some(order) = self.late.recv() => {
                self.in_a_row = 0;
                Some(order)
            }
            else => None,
        }
    }
}

/// The thread. A panic costs the order it came from its answer, and nobody else anything.
fn serve(runtime: &Runtime, mut queue: Queue) {
    let mut open = true;
    while open {
        let turn = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                while let Some(order) = queue.next().await {
                    carry_out(order).await;
                }
            });
        }));
        // The panic hook has logged what and where.
        open = turn.is_err();
    }
}

async fn carry_out(order: Order) {
    match order {
        Order::Start { command, reply } => {
            let result = start_patiently(&command).await.map(watched);
            // Nobody waits for the answer: the process runs, and is reaped, all the same.
            let _ = reply.send(result);
        }
        #[cfg(test)]
        Order::Panic => panic!("as the test asked"),
    }
}

async fn start_patiently(command: &Command) -> Result<Started, SpawnError> {
    for _ in 1..BUSY_TRIES {
        match command.start() {
            Err(error) if error.is_passing() => tokio::time::sleep(BUSY_PAUSE).await,
            result => return result,
        }
    }
    command.start()
}

fn watched(started: Started) -> Child {
    let Started {
        pid,
        output,
        output_from,
        printed,
        output_error,
        output_stuck,
    } = started;
    // Not reaped yet, so the pid is still this process's even when it has ended.
    let start_ticks = machine::start_ticks(pid);
    let (report, exit) = oneshot::channel();
    let (signals, asked) = Signals::of(pid);
    if let Some(pid) = Pid::from_raw(pid) {
        tokio::spawn(async move {
            let _ = report.send(asked.obey_until(pid, reap(pid)).await);
        });
    }
    Child {
        pid,
        start_ticks,
        output,
        output_from,
        printed,
        output_error,
        output_stuck,
        signals,
        exit,
    }
}

#[cfg(test)]
mod tests;
