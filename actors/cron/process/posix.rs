//! `posix_spawn`, the one unsafe door to new processes.
//!
//! Not fork with `pre_exec` (`std::process` with a session of its own): a fork copies the page
//! tables of the whole daemon, 20 ms for one of 500 MB; `posix_spawn` takes 3 to 5 ms, however
//! large the daemon is, and its result shows whether the program could be executed.

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;

use crate::limits;

/// The child leads a session and a process group of its own: no terminal and no signal meant for
/// the daemon reaches it, and it can be ended with all it started.
#[cfg(target_os = "linux")]
const SETSID: c_int = libc::POSIX_SPAWN_SETSID as c_int;
/// The same; the libc crate does not name it yet (`spawn.h` of macOS 10.15 and later).
#[cfg(target_os = "macos")]
const SETSID: c_int = 0x0400;

/// Descriptors nobody named are closed; Linux has a file action for that instead.
#[cfg(target_os = "macos")]
const CLOSE_OTHERS: c_int = libc::POSIX_SPAWN_CLOEXEC_DEFAULT;
#[cfg(not(target_os = "macos"))]
const CLOSE_OTHERS: c_int = 0;

/// All that a process is started with.
pub(super) struct Plan<'a> {
    pub(super) program: &'a CStr,
    /// With the program's name as the first.
    pub(super) args: &'a [CString],
    /// `NAME=value` each.
    pub(super) env: &'a [CString],
    pub(super) input: &'a File,
    /// Standard output and error.
    pub(super) output: &'a File,
    /// What the child has as [`HANDED_FD`].
    pub(super) handed: Option<&'a File>,
}

/// The first number after the standard ones.
pub(super) const HANDED_FD: c_int = libc::STDERR_FILENO + 1;

/// Starts a process, answers its pid.
pub(super) fn spawn(plan: &Plan<'_>) -> io::Result<i32> {
    let mut actions = MaybeUninit::uninit();
    let mut actions = Actions::new(&mut actions)?;
    actions.dup(plan.input, libc::STDIN_FILENO)?;
    actions.dup(plan.output, libc::STDOUT_FILENO)?;
    actions.dup(plan.output, libc::STDERR_FILENO)?;
    // Last: the files above may have this number here.
    match plan.handed {
        Some(file) => {
            actions.dup(file, HANDED_FD)?;
            actions.close_from(HANDED_FD + 1)?;
        }
        None => actions.close_from(HANDED_FD)?,
    }
    let mut attributes = MaybeUninit::uninit();
    let mut attributes = Attributes::new(&mut attributes)?;
    attributes.detach()?;
    let (args, env) = (pointers(plan.args), pointers(plan.env));
    let mut pid = 0;
    // SAFETY: both objects are initialised, both vectors end with a null pointer, and everything
    // they lead to is borrowed by `plan`; the system writes to none of it but `pid`.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            plan.program.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
        )
    })?;
    limits::restore_open_files(pid);
    Ok(pid)
}

/// What the child does with descriptors before it executes. Not moved once initialised.
struct Actions<'a>(&'a mut MaybeUninit<libc::posix_spawn_file_actions_t>);

impl<'a> Actions<'a> {
    fn new(place: &'a mut MaybeUninit<libc::posix_spawn_file_actions_t>) -> io::Result<Self> {
        // SAFETY: initialises the memory it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(place.as_mut_ptr()) })?;
        Ok(Self(place))
    }

    fn dup(&mut self, file: &File, to: c_int) -> io::Result<()> {
        let from = file.as_raw_fd();
        // SAFETY: initialised in `new`.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from, to) })
    }

    /// Rust opens all descriptors close-on-exec; libraries in C, and the daemon's parent,
    /// may not. Their sockets must not live on in a run that outlives the daemon.
    #[cfg(target_os = "linux")]
    fn close_from(&mut self, first: c_int) -> io::Result<()> {
        type CloseFrom =
            unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;
        // Looked up, not linked: glibc has it since 2.34, and older ones must still load us.
        let name = c"posix_spawn_file_actions_addclosefrom_np";
        // SAFETY: looks a name up, nothing else.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if found.is_null() {
            return Ok(());
        }
        // SAFETY: the function of that name has that signature; see posix_spawn(3).
        let close_from = unsafe { std::mem::transmute::<*mut libc::c_void, CloseFrom>(found) };
        // SAFETY: initialised in `new`.
        check(unsafe { close_from(self.0.as_mut_ptr(), first) })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux")]
    fn close_from(&mut self, _: c_int) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Actions<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and not used after this.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

/// How the child differs from the daemon. Not moved once initialised.
struct Attributes<'a>(&'a mut MaybeUninit<libc::posix_spawnattr_t>);

impl<'a> Attributes<'a> {
    fn new(place: &'a mut MaybeUninit<libc::posix_spawnattr_t>) -> io::Result<Self> {
        // SAFETY: initialises the memory it is given.
        check(unsafe { libc::posix_spawnattr_init(place.as_mut_ptr()) })?;
        Ok(Self(place))
    }

    /// A session of its own, no signal blocked, none ignored: what the daemon blocks (its signal
    /// thread) and ignores (SIGPIPE, as every Rust program) would be inherited.
    fn detach(&mut self) -> io::Result<()> {
        let (mut none, mut all) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let attributes = self.0.as_mut_ptr();
        // SAFETY: the sets are initialised before they are used; `attributes` was in `new`.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigfillset(all.as_mut_ptr());
            // These two cannot be changed, and strict systems refuse the attempt.
            libc::sigdelset(all.as_mut_ptr(), libc::SIGKILL);
            libc::sigdelset(all.as_mut_ptr(), libc::SIGSTOP);
            check(libc::posix_spawnattr_setsigmask(attributes, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(
                attributes,
                all.as_ptr(),
            ))?;
        }
        let signals = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = (SETSID | CLOSE_OTHERS | signals) as c_short;
        // SAFETY: initialised in `new`.
        check(unsafe { libc::posix_spawnattr_setflags(attributes, flags) })
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and not used after this.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

fn pointers(words: &[CString]) -> Vec<*mut c_char> {
    let words = words.iter().map(|word| word.as_ptr().cast_mut());
    words.chain([ptr::null_mut()]).collect()
}

/// These functions answer the error itself, not through `errno`.
fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
