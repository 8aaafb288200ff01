//! Which jobs a crash is recorded for when a real process dies.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::child::{die, start_waiting};
use super::{assert_crashed, identity, ids, only};
use crate::poison::dead_files::{Now, judge_all};
use crate::poison::kernel::{self, OomKills};
use crate::poison::layout;
use crate::poison::{Death, dead_files};

const ABORTED: Death = Death::Signal(libc::SIGABRT);

#[test]
fn an_abort_is_charged_to_its_own_message() {
    let (data, status) = die("abort");
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let file = assert_crashed(data.path(), &[("culprit", ABORTED)]);
    assert_eq!((&*file.partition, &*file.boot), ("script1", "boot-1"));
    assert_eq!(ids(&file.in_flight), ["busy", "culprit", "idle"]);
}

#[test]
fn an_abort_in_a_future_is_charged() {
    let (data, _) = die("abort in a poll");
    assert_crashed(data.path(), &[("culprit", ABORTED)]);
}

#[test]
fn the_innermost_handler_is_charged() {
    let (data, _) = die("abort in a nested call");
    assert_crashed(data.path(), &[("inner", ABORTED)]);
}

#[test]
fn the_outer_handler_is_charged_again_after_the_inner_one() {
    let (data, _) = die("abort after a nested call");
    assert_crashed(data.path(), &[("culprit", ABORTED)]);
}

#[test]
fn a_batch_is_charged_as_a_whole() {
    let (data, _) = die("abort in a batch");
    let file = only(dead_files(data.path()).unwrap());
    let crashed: Vec<_> = file.deaths.iter().map(|(who, _)| who.clone()).collect();
    assert_eq!(ids(&crashed), ["one", "three", "two"]);
    assert!(file.deaths.iter().all(|(_, death)| *death == ABORTED));
}

#[test]
fn an_abort_outside_any_handler_charges_nobody() {
    let (data, status) = die("abort between handlers");
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert_crashed(data.path(), &[]);
}

/// The message of it does not fit into standard error.
#[test]
fn a_stack_overflow_ends_the_process_though_nobody_reads_of_it() {
    let (data, status) = die("overflow that nobody reads of");
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let file = only(dead_files(data.path()).unwrap());
    assert_eq!(file.deaths.len(), 1);
}

#[test]
fn a_stack_overflow_is_charged() {
    let (data, status) = die("overflow");
    // Std's own handler came after ours: it reports the overflow, and aborts.
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let file = only(dead_files(data.path()).unwrap());
    let [(who, death)] = &file.deaths[..] else {
        panic!("{:?}", file.deaths)
    };
    assert_eq!(who.id(), "culprit");
    // The guard page is a bus error on some systems.
    assert!(
        matches!(death, Death::Signal(libc::SIGSEGV | libc::SIGBUS)),
        "{death}"
    );
}

#[test]
fn a_fault_is_charged_and_ends_the_process_as_ever() {
    // The first comes back to std's handler, the second to the system's default.
    for (role, signal) in [("null", libc::SIGSEGV), ("illegal", libc::SIGILL)] {
        let (data, status) = die(role);
        assert_eq!(status.signal(), Some(signal), "{role}");
        assert_crashed(data.path(), &[("culprit", Death::Signal(signal))]);
    }
}

#[test]
fn a_handler_that_calls_exit_is_charged() {
    let (data, status) = die("exit");
    assert_eq!(status.code(), Some(3));
    assert_crashed(data.path(), &[("culprit", Death::Exit)]);
}

#[test]
fn an_exit_outside_any_handler_charges_nobody() {
    let (data, status) = die("exit outside");
    assert_eq!(status.code(), Some(3));
    let file = assert_crashed(data.path(), &[]);
    assert_eq!(ids(&file.in_flight), ["busy", "culprit", "idle"]);
}

#[test]
fn a_panic_charges_nobody_and_leaves_the_slot() {
    let (data, status) = die("panic");
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert_crashed(data.path(), &[]);
}

#[test]
fn an_operators_kill_charges_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, _) = start_waiting("wait", data.path());
    assert!(dead_files(data.path()).unwrap().is_empty());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));

    // With the counts as the child noted them: another process may be killed for memory meanwhile.
    let noted = noted(data.path());
    let now = Now {
        kernel_boot: kernel::boot_id(),
        kills: noted,
    };
    let file = only(judge_all(data.path(), &now).unwrap());
    assert_eq!(file.deaths, []);
    assert_eq!(ids(&file.in_flight), ["busy", "culprit", "idle"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_out_of_memory_killer_has_the_busy_ones_charged() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, _) = start_waiting("wait", data.path());
    child.kill().unwrap();
    child.wait().unwrap();

    let risen = OomKills {
        system: Some(u64::MAX - 1),
        cgroup: None,
    };
    let now = Now {
        kernel_boot: kernel::boot_id(),
        kills: risen,
    };
    let file = only(judge_all(data.path(), &now).unwrap());
    let killed = Death::OutOfMemory;
    assert_eq!(
        file.deaths,
        [(identity("busy"), killed), (identity("culprit"), killed)]
    );
    drop(file);

    let now = Now {
        kernel_boot: Some("another".to_owned()),
        kills: risen,
    };
    assert_eq!(only(judge_all(data.path(), &now).unwrap()).deaths, []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_fatal_signal_from_outside_charges_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, thread) = start_waiting("wait", data.path());
    let thread: libc::pid_t = thread.parse().unwrap();
    // To the very thread that is inside its handler.
    // SAFETY: a system call on numbers.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            child.id() as libc::pid_t,
            thread,
            libc::SIGABRT,
        )
    };
    assert_eq!(sent, 0);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGABRT));
    assert_crashed(data.path(), &[]);
}

#[test]
fn a_forked_child_that_dies_charges_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, _) = start_waiting("fork", data.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_crashed(data.path(), &[]);
}

#[test]
fn a_file_of_another_kernel_boot_shows_its_fatal_slots() {
    let (data, _) = die("abort");
    let now = Now {
        kernel_boot: Some("another".to_owned()),
        kills: OomKills::read(),
    };
    let file = only(judge_all(data.path(), &now).unwrap());
    assert_eq!(file.deaths, [(identity("culprit"), ABORTED)]);
}

#[test]
fn deaths_are_reported_at_each_start_until_the_file_is_removed() {
    let (data, _) = die("abort");
    let first = assert_crashed(data.path(), &[("culprit", ABORTED)]);
    // Another daemon that starts meanwhile.
    assert!(dead_files(data.path()).unwrap().is_empty());
    // The first one dies before it has written anything down.
    drop(first);
    assert_crashed(data.path(), &[("culprit", ABORTED)]).remove();
    assert!(dead_files(data.path()).unwrap().is_empty());
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

fn noted(data: &Path) -> OomKills {
    let bytes = fs::read(data.join("running-script1-boot-1")).unwrap();
    layout::Header::decode(&bytes).unwrap().noted
}
