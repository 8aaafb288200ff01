//! A process that dies, or waits to be killed: this test binary, started once more.
//!
//! [`child`] is the only test it runs, and [`ROLE`] decides what it does there.

use std::env;
use std::future;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;

use futures_util::FutureExt;
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

use super::{identity, slots};
use crate::job::guarded::Business;
use crate::poison::SlotFile;

const ROLE: &str = "SLOTS_TEST_ROLE";
const DATA: &str = "SLOTS_TEST_DATA";
const READY: &str = "the child is ready: ";

/// A handler in the middle of its work on another thread, for ever.
fn busy_neighbour(slots: &Arc<SlotFile>, id: &'static str) {
    let slot = slots.take(&identity(id)).unwrap();
    let (entered, is_entered) = mpsc::channel();
    thread::spawn(move || {
        slot.enter(|| {
            entered.send(()).unwrap();
            loop {
                thread::park();
            }
        })
    });
    is_entered.recv().unwrap();
}

fn overflow(depth: u64) -> u64 {
    let ballast = black_box([depth; 64]);
    if ballast[0] == u64::MAX {
        0
    } else {
        overflow(depth + 1) + ballast[1]
    }
}

fn wait_for_the_end(word: &str) -> ! {
    writeln!(io::stdout(), "{READY}{word}").unwrap();
    loop {
        thread::park();
    }
}

#[cfg(target_os = "linux")]
fn thread_id() -> String {
    rustix::thread::gettid().as_raw_nonzero().to_string()
}

/// Not a test of its own: the body of the processes that the tests below start.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .unwrap();
    let slots = slots(Path::new(&env::var_os(DATA).unwrap()));
    busy_neighbour(&slots, "busy");
    let _idle = slots.take(&identity("idle")).unwrap();
    let slot = slots.take(&identity("culprit")).unwrap();
    match role.as_str() {
        "abort" => slot.enter(|| std::process::abort()),
        "abort in a poll" => {
            let call = || future::poll_fn(|_| std::process::abort()).boxed_local();
            let mut business = Business::<_, _, ()>::new(call, Some(slot), None);
            let _ = business.poll_unpin(&mut Context::from_waker(Waker::noop()));
        }
        "abort in a nested call" => {
            let inner = slots.take(&identity("inner")).unwrap();
            slot.enter(|| inner.enter(|| std::process::abort()));
        }
        "abort after a nested call" => {
            let inner = slots.take(&identity("inner")).unwrap();
            slot.enter(|| {
                inner.enter(|| slot.enter(|| ()));
                std::process::abort()
            });
        }
        "abort in a batch" => {
            let batch = ["one", "two", "three"].map(identity);
            slots
                .take_batch(&batch)
                .unwrap()
                .enter(|| std::process::abort());
        }
        "abort between handlers" => {
            slot.enter(|| ());
            std::process::abort();
        }
        "overflow" => {
            let overflowing = thread::spawn(move || slot.enter(|| overflow(0)));
            black_box(overflowing.join().unwrap());
        }
        "overflow that nobody reads of" => {
            let _reader = crate::logs::with_full_stderr();
            crate::logs::say("a line that stays in the queue\n");
            let overflowing = thread::spawn(move || slot.enter(|| overflow(0)));
            black_box(overflowing.join().unwrap());
        }
        "illegal" => {
            // SAFETY: none; that is the point.
            let raise = move || slot.enter(|| unsafe { libc::raise(libc::SIGILL) });
            thread::spawn(raise).join().unwrap();
        }
        "null" => {
            let nowhere = || black_box(ptr::without_provenance::<u8>(8));
            // SAFETY: none; that is the point.
            let read = move || slot.enter(|| unsafe { ptr::read_volatile(nowhere()) });
            black_box(thread::spawn(read).join().unwrap());
        }
        "exit" => slot.enter(|| std::process::exit(3)),
        "exit outside" => {
            slot.enter(|| ());
            std::process::exit(3);
        }
        "panic" => {
            let panicked = catch_unwind(AssertUnwindSafe(|| slot.enter(|| panic!("meant to"))));
            assert!(panicked.is_err());
            std::process::abort();
        }
        "fork" => {
            // SAFETY: the child does nothing but abort.
            let child = slot.enter(|| match unsafe { libc::fork() } {
                0 => unsafe { libc::abort() },
                child => child,
            });
            let mut status = 0;
            // SAFETY: the status is ours to write.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(libc::WTERMSIG(status), libc::SIGABRT);
            wait_for_the_end("forked");
        }
        #[cfg(target_os = "linux")]
        "wait" => slot.enter(|| wait_for_the_end(&thread_id())),
        #[cfg(not(target_os = "linux"))]
        "wait" => slot.enter(|| wait_for_the_end("")),
        other => panic!("`{other}` is no role"),
    }
    panic!("the child should have died as `{role}`");
}

fn start(role: &str, data: &Path) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::child"), "--nocapture"])
        .env(ROLE, role)
        .env(DATA, data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child die by its role.
pub(super) fn die(role: &str) -> (TempDir, ExitStatus) {
    let data = tempfile::tempdir().unwrap();
    let status = start(role, data.path()).wait_with_output().unwrap().status;
    (data, status)
}

/// Starts a child that waits, and returns its last word.
pub(super) fn start_waiting(role: &str, data: &Path) -> (Child, String) {
    let mut child = start(role, data);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Libtest writes the test's name in front, without a line end.
    let word = lines
        .find_map(|line| Some(line.unwrap().split_once(READY)?.1.to_owned()))
        .expect("the child should say that it is ready");
    (child, word)
}
