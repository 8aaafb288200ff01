//! What a started process is like, and that none is forgotten.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use rustix::io::Errno;
use rustix::process::{
    Signal, WaitOptions, getpgid, getsid, kill_process, test_kill_process, waitpid,
};

use super::super::machine::Identity;
use super::super::testing::World;
use super::*;

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.pid).unwrap()
}

#[tokio::test]
async fn a_process_leads_its_own_session_without_input() {
    let world = World::new();
    let mut run = world.spawn_shell("cat; echo eof; read x < $GATE").await;
    assert_eq!(run.line(), "eof");
    let pid = pid_of(&run.child);
    assert_eq!(getsid(Some(pid)), Ok(pid));
    assert_eq!(getpgid(Some(pid)), Ok(pid));
    assert_eq!(
        machine::identify(run.child.pid, run.child.start_ticks),
        Identity::Same
    );
    world.open_gate();
    assert_eq!(run.child.exited().await, ExitStatus::Exited(0));
}

#[tokio::test]
async fn exit_codes_and_signals_are_reported() {
    let world = World::new();
    let cases = [
        ("exit 0", ExitStatus::Exited(0)),
        ("exit 42", ExitStatus::Exited(42)),
        ("kill -KILL $$", ExitStatus::Signaled(libc::SIGKILL, false)),
        ("kill -TERM $$", ExitStatus::Signaled(libc::SIGTERM, false)),
    ];
    for (script, expected) in cases {
        let child = world
            .spawner
            .spawn(world.shell(script), Turn::Fresh)
            .await
            .unwrap();
        assert_eq!(child.exited().await, expected, "{script}");
    }
}

#[tokio::test]
async fn arguments_and_variables_arrive_as_they_are() {
    let world = World::new();
    let args = [
        "-c",
        "printf '%s|' \"$0\" \"$@\" \"$EXTRA\" \"$HOME\"",
        "任务",
        "",
        "a b'\"\n",
        "🦀",
    ];
    let mut command = world.command("/bin/sh", &args);
    command.env.push(("EXTRA".into(), "更多".into()));
    command.env.push(("HOME".into(), "/ours".into()));
    let mut run = world.spawn(command).await;
    assert_eq!(run.rest(), "任务||a b'\"\n|🦀|更多|/ours|");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn signals_the_daemon_blocks_or_ignores_are_not_inherited() {
    let mut world = World::new();
    // SAFETY: sets of signals on the stack; only this thread is changed. The thread of the next
    // Spawner inherits it. (SIGPIPE is ignored in every Rust program.)
    unsafe {
        let mut set = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
    world.spawner = Spawner::start().unwrap();
    let own = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_ne!(signals(&own, "SigBlk"), 0, "else this proves nothing");
    assert_ne!(signals(&own, "SigIgn"), 0, "else this proves nothing");
    let mut run = world
        .spawn(world.command("/bin/cat", &["/proc/self/status"]))
        .await;
    let status = run.rest();
    assert_eq!(signals(&status, "SigBlk"), 0, "{status}");
    assert_eq!(signals(&status, "SigIgn"), 0, "{status}");
}

/// A set of signals from proc(5) `status`: bit 0 is signal 1.
#[cfg(target_os = "linux")]
fn signals(status: &str, name: &str) -> u64 {
    /// 32 and 33 belong to glibc, whose `posix_spawn` leaves them ignored.
    const OF_GLIBC: u64 = 0b11 << 31;
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    u64::from_str_radix(set.unwrap(), 16).unwrap() & !OF_GLIBC
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn descriptors_of_libraries_in_c_are_not_inherited() {
    let world = World::new();
    let file = File::create(world.path("leak")).unwrap();
    // SAFETY: an open descriptor, and a command that takes an integer.
    assert_eq!(
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) },
        0
    );
    let mut run = world
        .spawn(world.command("/bin/ls", &["-l", "/proc/self/fd"]))
        .await;
    let listed = run.rest();
    assert!(listed.contains("0 -> /dev/null"), "{listed}");
    assert!(!listed.contains("leak"), "{listed}");
}

#[tokio::test]
async fn no_child_stays_a_zombie() {
    let world = World::new();
    let child = world
        .spawner
        .spawn(world.shell("exit 0"), Turn::Fresh)
        .await
        .unwrap();
    let pid = pid_of(&child);
    child.exited().await;
    assert_eq!(
        waitpid(Some(pid), WaitOptions::NOHANG).unwrap_err(),
        Errno::CHILD
    );

    let run = world.spawn_shell("read x < $GATE").await;
    let pid = pid_of(&run.child);
    drop(run);
    world.open_gate();
    // A zombie would answer for ever.
    while test_kill_process(pid).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_costs_nobody_else_anything() {
    let world = World::new();
    let mut before = world.spawn_shell("echo up; read x < $GATE; exit 5").await;
    assert_eq!(before.line(), "up");
    world.spawner.fresh.send(Order::Panic).await.unwrap();
    let after = world
        .spawner
        .spawn(world.shell("exit 6"), Turn::Fresh)
        .await
        .unwrap();
    assert_eq!(after.exited().await, ExitStatus::Exited(6));
    world.open_gate();
    assert_eq!(before.child.exited().await, ExitStatus::Exited(5));
}

#[tokio::test]
async fn a_program_that_is_being_written_is_named_as_that() {
    let world = World::new();
    let path = world.path("program");
    fs::copy("/bin/sleep", &path).unwrap();
    let _writer = File::options().append(true).open(&path).unwrap();
    let command = world.command(path.to_str().unwrap(), &["0"]);
    let error = world.spawner.spawn(command, Turn::Fresh).await.unwrap_err();
    assert!(error.to_string().contains("is being written"), "{error}");
}

#[tokio::test]
async fn what_was_ordered_is_started_though_the_spawner_is_dropped() {
    let world = World::new();
    let spawner = Spawner::start().unwrap();
    let starting = spawner.spawn(world.shell("read x < $GATE"), Turn::Fresh);
    drop(spawner);
    let child = starting.await.unwrap();
    let pid = pid_of(&child);
    // Its thread is gone, so nobody watches; but it lives.
    assert_eq!(child.exited().await, ExitStatus::Unknown);
    test_kill_process(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    waitpid(Some(pid), WaitOptions::empty()).unwrap();
}

#[tokio::test]
async fn fresh_starts_go_before_late_ones() {
    let (fresh, fresh_queue) = mpsc::channel(QUEUE);
    let (late, late_queue) = mpsc::channel(QUEUE);
    let mut queue = Queue {
        fresh: fresh_queue,
        late: late_queue,
        in_a_row: 0,
    };
    for orders in [&late, &fresh] {
        for _ in 0..20 {
            orders.send(Order::Panic).await.unwrap();
        }
    }
    let mut taken = Vec::new();
    for _ in 0..40 {
        queue.next().await.unwrap();
        taken.push((queue.fresh.len(), queue.late.len()));
    }
    assert_eq!(taken[15], (4, 20), "fresh ones first");
    assert_eq!(taken[16], (4, 19), "one of the late ones in between");
    assert_eq!(taken[20], (0, 19));
    assert_eq!(taken[39], (0, 0));
    drop((fresh, late));
    assert!(queue.next().await.is_none());
}
