//! Ends a run with everything it started: SIGTERM, 10 s, SIGKILL, to its whole process group.
//!
//! **Never another's process.** A child of ours is signalled by the task that reaps it (`signals.rs`). Any other leader
//! is opened by pid and start time. Where the kernel can signal a group through the leader's handle (Linux 6.9) no
//! number is used at all. Elsewhere the group's number is, and only while it must still be this run's: while the leader
//! is there, or while no process has its pid. (A group's number is not given away while it has members; so a process
//! that has that pid after the leader's end proves that the group is empty.)

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, getpgid, kill_process_group, test_kill_process};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::machine::{self, Identity};
use super::signals::Signals;
use super::watch::Watched;

/// Time between SIGTERM and SIGKILL, as the contract has it.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Pause between two polls whether the rest of a group has ended: nothing reports that.
const POLL: Duration = Duration::from_millis(100);

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Termination {
    /// It had ended before; nothing was signalled.
    NotThere,
    /// It ended on SIGTERM, with all of its group.
    OnRequest,
    /// SIGKILL was needed, for it or for the rest of its group.
    Forced,
}

/// Ends the process group that `pid` leads; answers when the leader has ended and the rest has, or
/// was sent SIGKILL.
///
/// # Errors
///
/// It may not be signalled, is not known for sure (no `start_ticks`), or does not lead its group.
pub(crate) async fn terminate(pid: i32, start_ticks: Option<u64>) -> io::Result<Termination> {
    match Watched::open(pid, start_ticks)? {
        Some(leader) => end(leader, GRACE).await,
        None => Ok(Termination::NotThere),
    }
}

/// The same for a child of ours, which is known without reading the process table.
///
/// # Errors
///
/// It may not be signalled.
pub(crate) async fn terminate_child(child: &Signals) -> io::Result<Termination> {
    end_child(child, GRACE).await
}

async fn end_child(child: &Signals, grace: Duration) -> io::Result<Termination> {
    if child.is_reaped() {
        return Ok(Termination::NotThere);
    }
    let deadline = Instant::now() + grace;
    child.send(Signal::TERM).await?;
    let _ = child.send(Signal::CONT).await;
    let in_time = timeout_at(deadline, async {
        child.reaped().await;
        group_ended(child.pid()).await;
    });
    if in_time.await.is_ok() {
        return Ok(Termination::OnRequest);
    }
    child.send(Signal::KILL).await?;
    child.reaped().await;
    Ok(Termination::Forced)
}

async fn end(leader: Watched, grace: Duration) -> io::Result<Termination> {
    let deadline = Instant::now() + grace;
    let pid = leader.pid();
    match (leader.identity(), getpgid(Some(pid))) {
        (Identity::Gone, _) | (_, Err(Errno::SRCH)) => return Ok(Termination::NotThere),
        (Identity::Unknown, _) => return Err(refused(&leader, "its start time is unknown")),
        (Identity::Same, Ok(group)) if group == pid => {}
        (Identity::Same, _) => return Err(refused(&leader, "it does not lead its group")),
    }
    signal(&leader, Signal::TERM)?;
    // A stopped process gets SIGTERM only when it goes on. It may have ended by now.
    let _ = signal(&leader, Signal::CONT);
    let in_time = timeout_at(deadline, async {
        leader.ended().await;
        group_ended(pid.as_raw_pid()).await;
    });
    if in_time.await.is_ok() {
        return Ok(Termination::OnRequest);
    }
    signal(&leader, Signal::KILL)?;
    leader.ended().await;
    Ok(Termination::Forced)
}

async fn group_ended(pgid: i32) {
    // It reads the process table: not on the thread of an actor.
    while spawn_blocking(move || machine::group_lives(pgid))
        .await
        .unwrap_or(true)
    {
        sleep(POLL).await;
    }
}

fn signal(leader: &Watched, signal: Signal) -> io::Result<()> {
    if let Some(handle) = leader.handle() {
        match handle.signal_group(signal) {
            Ok(()) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            // A kernel before 6.9 does not know the flag, a sandbox may not know the call.
            Err(_) => {}
        }
    }
    signal_by_number(leader, signal)
}

fn signal_by_number(leader: &Watched, signal: Signal) -> io::Result<()> {
    let pid = leader.pid();
    let nobody_has_pid = || test_kill_process(pid) == Err(Errno::SRCH);
    if !leader.has_pid() && !nobody_has_pid() {
        return Ok(());
    }
    match kill_process_group(pid, signal) {
        Err(Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}

fn refused(leader: &Watched, why: &str) -> io::Error {
    let pid = leader.pid();
    let message = format!("process {pid} is not ended by us: {why}; end it by hand");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
