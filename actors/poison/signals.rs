//! Marks the slot of the thread that is about to end the process.
//!
//! Everything a signal handler may touch here is made for it: a thread-local that needs no initialising
//! and no destructor, atomics, mapped memory, `getpid`, `sigaction`, `raise`.

use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use libc::{c_int, c_void, sigaction, siginfo_t};

use super::layout::level;

/// The signals by which a program ends itself. TRAP is what some processors make of an abort, SYS what
/// a seccomp filter makes of a forbidden call.
const FATAL_SIGNALS: [c_int; 7] = [
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
];

thread_local! {
    /// The flag of the innermost handler that this thread runs; null outside any.
    static CURRENT: Cell<*const AtomicU32> = const { Cell::new(ptr::null()) };
}

/// The process that installed the hooks. A forked child inherits all of this, and its end is not ours.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Set once the process is ending in order: what other threads stumble over then is nobody's fault.
static EXITING: AtomicBool = AtomicBool::new(false);
/// What was installed before us.
static EARLIER: OnceLock<[Earlier; FATAL_SIGNALS.len()]> = OnceLock::new();

#[derive(Clone, Copy)]
struct Earlier {
    signal: c_int,
    action: sigaction,
}

/// Keeps a slot the current one of this thread, and polled, until it is dropped.
pub(super) struct Entered<'a> {
    state: &'a AtomicU32,
    before: u32,
    outer: *const AtomicU32,
}

impl<'a> Entered<'a> {
    /// Must be dropped on the same thread, in the reverse order of entering, before `state` goes: the
    /// callers ([`super::Slot::enter`]) keep it on the stack for this reason.
    pub(super) fn new(state: &'a AtomicU32) -> Self {
        let before = state.load(Ordering::Relaxed);
        let outer = CURRENT.replace(state);
        state.store(level::POLLED, Ordering::Release);
        Self {
            state,
            before,
            outer,
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.state.store(self.before, Ordering::Release);
        CURRENT.set(self.outer);
    }
}

/// Installs the signal handler and the exit hook, once per process.
pub(super) fn install() {
    EARLIER.get_or_init(|| {
        OWNER.store(std::process::id(), Ordering::Relaxed);
        // SAFETY: the hook is a plain function that neither unwinds nor allocates.
        if unsafe { libc::atexit(on_exit) } != 0 {
            log::warn!(
                "no crash will be recorded for a handler that calls `exit`: `atexit` refused the hook"
            );
        }
        FATAL_SIGNALS.map(|signal| Earlier {
            signal,
            action: read_action(signal),
        })
    });
    // Only now, so that the handler finds what to hand on to from its first call.
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| FATAL_SIGNALS.into_iter().for_each(install_handler));
}

fn read_action(signal: c_int) -> sigaction {
    // SAFETY: all zeros is a valid `sigaction` (the default action); a null new action only reads.
    unsafe {
        let mut action: sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut action);
        action
    }
}

fn install_handler(signal: c_int) {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_signal;
    // SAFETY: as above; the handler has the signature that SA_SIGINFO asks for. ONSTACK, since a stack
    // that has overflowed cannot carry it. The signal stays blocked meanwhile (no NODEFER): std's own
    // handler, to which we hand on, expects that, and a raised signal then ends the process at the spot.
    let result = unsafe {
        let mut action: sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, ptr::null_mut())
    };
    if result != 0 {
        log::warn!(
            "signal {signal} cannot be watched; no crash will be recorded for a handler that ends by it"
        );
    }
}

extern "C" fn on_exit() {
    mark(level::fatal(0));
    if std::process::id() == OWNER.load(Ordering::Relaxed) {
        EXITING.store(true, Ordering::Relaxed);
    }
}

extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands over a valid `siginfo_t`.
    if !unsafe { sent_by_another_process(info) } {
        mark(level::fatal(signal));
    }
    crate::logs::before_fatal_signal();
    hand_on(signal, info, context);
}

/// Raises this thread's slot to fatal, unless it is already: the first cause is the cause.
fn mark(fatal: u32) {
    let state = CURRENT.get();
    if state.is_null()
        || EXITING.load(Ordering::Relaxed)
        || std::process::id() != OWNER.load(Ordering::Relaxed)
    {
        return;
    }
    // SAFETY: `Entered` borrows what it points to and puts the outer pointer back before that ends.
    let state = unsafe { &*state };
    if level::of(state.load(Ordering::Relaxed)) != level::FATAL {
        state.store(fatal, Ordering::Release);
    }
}

/// Whether the signal is an operator's or a supervisor's, not this program's own doing.
unsafe fn sent_by_another_process(info: *const siginfo_t) -> bool {
    // SAFETY: the caller's promise; a signal that was sent carries its sender.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // Linux numbers what processes send 0 and below; macOS and the BSDs from 0x10001.
    let sent = if cfg!(target_os = "linux") {
        code <= 0
    } else {
        code == 0 || code >= 0x1_0001
    };
    sent && u32::try_from(sender) != Ok(std::process::id())
}

/// Gives the signal to the handler that would have got it without us.
fn hand_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let earlier = EARLIER
        .get()
        .and_then(|all| all.iter().find(|one| one.signal == signal));
    let Some(Earlier { action, .. }) = earlier else {
        return;
    };
    // SAFETY: `action` is what the system gave us as the installed one: for anything but the two constants a
    // function with the signature that its flags say.
    unsafe {
        match action.sa_sigaction {
            libc::SIG_DFL => {
                libc::sigaction(signal, action, ptr::null_mut());
                // Blocked while we are here: it strikes when we return, where the fault was.
                libc::raise(signal);
            }
            // Put back, so that a fault which repeats itself meets the kernel and not us for ever.
            libc::SIG_IGN => {
                libc::sigaction(signal, action, ptr::null_mut());
            }
            handler if action.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}
