//! Signals for a child of ours and its group, sent by the task that reaps it.
//!
//! **Never another's process.** Until a child is reaped its pid, which is its group's number too, belongs to nobody else,
//! be it alive or a zombie. Who reaps it sends the signals as well, so each is sent before that. Nothing is read from
//! `/proc`, which may not be there, or hide it.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};
use tokio::sync::{mpsc, oneshot, watch};

use super::machine::valid;

/// A child that can be signalled. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    pid: i32,
    orders: mpsc::UnboundedSender<Order>,
    reaped: watch::Receiver<bool>,
}

/// The other end, of who reaps the child.
pub(super) struct Asked {
    orders: mpsc::UnboundedReceiver<Order>,
    reaped: watch::Sender<bool>,
}

#[derive(Debug)]
struct Order {
    signal: Signal,
    answer: oneshot::Sender<io::Result<()>>,
}

impl Signals {
    pub(super) fn of(pid: i32) -> (Self, Asked) {
        let (orders, asked) = mpsc::unbounded_channel();
        let (gone, reaped) = watch::channel(false);
        let signals = Self {
            pid,
            orders,
            reaped,
        };
        let asked = Asked {
            orders: asked,
            reaped: gone,
        };
        (signals, asked)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn is_reaped(&self) -> bool {
        *self.reaped.borrow() || self.reaped.has_changed().is_err()
    }

    /// Waits until the child has ended and was reaped.
    pub(super) async fn reaped(&self) {
        // An error means that nobody reaps it any more.
        let _ = self.reaped.clone().wait_for(|reaped| *reaped).await;
    }

    /// Signals the child with its group.
    pub(super) async fn send(&self, signal: Signal) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        if self.orders.send(Order { signal, answer }).is_ok()
            && let Ok(result) = answered.await
        {
            return result;
        }
        self.send_to_rest(signal)
    }

    /// After the child was reaped. While its group has members no other process gets its number as a pid, so a
    /// process with that pid proves that the group is empty.
    fn send_to_rest(&self, signal: Signal) -> io::Result<()> {
        let Some(pid) = valid(self.pid) else {
            return Ok(());
        };
        match test_kill_process(pid) {
            Err(Errno::SRCH) => send_to_group(pid, signal),
            _ => Ok(()),
        }
    }
}

impl Asked {
    /// Sends what is asked for while the child is not reaped.
    pub(super) async fn obey_until<T>(mut self, pid: Pid, reaped: impl Future<Output = T>) -> T {
        tokio::pin!(reaped);
        loop {
            tokio::select! {
                biased;
                status = &mut reaped => {
                    self.reaped.send_replace(true);
                    return status;
                }
                Some(Order { signal, answer }) = self.orders.recv() => {
                    // Whoever asked may have given up.
                    let _ = answer.send(send_to_group(pid, signal));
                }
            }
        }
    }
}

fn send_to_group(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process_group(pid, signal) {
        // It is empty but for the child, which has ended.
        Err(Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}
