//! Facts about this machine and its processes that outlive a process id.
//!
//! A pid alone identifies no process: it is reused, and the same number means another process in another
//! container or after a reboot. A pid *with* its start time, on a known machine, kernel boot and pid
//! namespace, names one process for good.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Pid, test_kill_process, test_kill_process_group};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where pids mean what they mean here: one machine, one boot of its kernel, one pid namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) struct Place {
    /// The host's name, for people: it may change while all of its processes go on.
    pub(crate) host: String,
    /// A random id of this boot of the kernel, where the system gives one.
    pub(crate) kernel_boot: Option<String>,
    /// The pid namespace (a container usually has its own), where there is such a thing.
    pub(crate) pid_namespace: Option<String>,
    /// What the machine is called for programs, and keeps when it is renamed, where it has such a thing.
    #[serde(default)]
    pub(crate) machine: Option<String>,
}

impl Place {
    /// Whether pids of that place mean the same here.
    pub(crate) fn is_here(&self) -> bool {
        self.is_same(Self::here())
    }

    /// A boot of a kernel is known by its id alone, which is random. Copies of a running machine have the same id, so
    /// what else distinguishes them counts too, where both know it. Only without that id a machine is known by its name.
    fn is_same(&self, other: &Self) -> bool {
        let differ =
            matches!((&self.machine, &other.machine), (Some(one), Some(two)) if one != two);
        let same_boot = match (&self.kernel_boot, &other.kernel_boot) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.host == other.host,
            _ => false,
        };
        same_boot && !differ && self.pid_namespace == other.pid_namespace
    }

    /// Whether it was this machine before it was started anew: none of its processes lives any more. A machine that only
    /// has the same id, as copies have, is distinguished from it by who has its files.
    pub(crate) fn was_here(&self) -> bool {
        let here = Self::here();
        let restarted = matches!(
            (&self.kernel_boot, &here.kernel_boot),
            (Some(then), Some(now)) if then != now
        );
        restarted
            && self.machine.is_some()
            && self.machine == here.machine
            && self.pid_namespace == here.pid_namespace
    }

    /// The place of this process; it never changes while the process lives.
    pub(crate) fn here() -> &'static Place {
        static HERE: OnceLock<Place> = OnceLock::new();
        HERE.get_or_init(|| Place {
            host: host(),
            kernel_boot: kernel_boot(),
            pid_namespace: pid_namespace(),
            machine: machine(),
        })
    }
}

/// A process that nothing else is mistaken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) start_ticks: Option<u64>,
}

/// What became of a process known by pid and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It lives.
    Same,
    /// It ended: no process has the pid, a zombie has, or another process.
    Gone,
    /// A process has the pid, and nothing shows whether it is the same one.
    Unknown,
}

/// Looks whether the process `pid` that started at `start_ticks` still lives.
pub(crate) fn identify(pid: i32, start_ticks: Option<u64>) -> Identity {
    let Some(target) = valid(pid) else {
        return Identity::Gone;
    };
    // EPERM: another user's process, but it is there.
    if test_kill_process(target) == Err(rustix::io::Errno::SRCH) {
        return Identity::Gone;
    }
    match (system::find(pid), start_ticks) {
        (Some(found), _) if found.zombie => Identity::Gone,
        (Some(found), Some(expected)) if found.start_ticks == expected => Identity::Same,
        (Some(_), Some(_)) => Identity::Gone,
        _ => Identity::Unknown,
    }
}

/// Whether a process that is not a zombie belongs to the process group.
///
/// Reads the process table where the group is not empty: not for a control thread.
pub(crate) fn group_lives(pgid: i32) -> bool {
    let Some(group) = valid(pgid) else {
        return false;
    };
    test_kill_process_group(group) != Err(rustix::io::Errno::SRCH) && system::group_lives(pgid)
}

/// A pid that may be signalled: above 1, since `kill` gives 0, 1 and negative numbers meanings
/// that reach far beyond one run, and the number may come from a damaged file.
pub(crate) fn valid(pid: i32) -> Option<Pid> {
    if pid > 1 { Pid::from_raw(pid) } else { None }
}

/// The host's name.
pub(crate) fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// A random id of this boot of the kernel.
pub(crate) fn kernel_boot() -> Option<String> {
    system::kernel_boot()
}

/// The pid namespace of this process.
pub(crate) fn pid_namespace() -> Option<String> {
    system::pid_namespace()
}

/// Made from the machine's own id, which is not to be spread (machine-id(5)).
fn machine() -> Option<String> {
    /// Any constant does, as long as it never changes.
    const NAMESPACE: Uuid = Uuid::from_u128(0x2c51_9b6e_40f7_5d0a_a1c8_7e93_d04b_65f2);
    let id = system::machine_id()?;
    Some(Uuid::new_v5(&NAMESPACE, id.as_bytes()).simple().to_string())
}

/// When the process started: clock ticks since the boot on Linux, microseconds since 1970 on
/// macOS. Only good for comparing; a zombie still has it.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    system::find(pid).map(|found| found.start_ticks)
}

/// The process table's entry of a pid.
struct Found {
    zombie: bool,
    start_ticks: u64,
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use super::{Found, io};

    pub(super) fn kernel_boot() -> Option<String> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn pid_namespace() -> Option<String> {
        let link = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    pub(super) fn machine_id() -> Option<String> {
        let paths = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
        let text = paths
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())?;
        // Before it is made it is empty, or holds `uninitialized`.
        let id = text.trim();
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| id.to_owned())
    }

    pub(super) fn find(pid: i32) -> Option<Found> {
        let (found, _) = parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
        Some(found)
    }

    pub(super) fn group_lives(pgid: i32) -> bool {
        // Where the table cannot be read (`/proc` is not mounted) the group counts as living: its end is waited for.
        if fs::read("/proc/self/stat").is_err() {
            return true;
        }
        fs::read_dir("/proc").map_or(true, |table| {
            table.filter_map(io::Result::ok).any(|entry| {
                let name = entry.file_name();
                name.as_encoded_bytes()[0].is_ascii_digit()
                    && fs::read(entry.path().join("stat"))
                        .ok()
                        .and_then(|text| parse(&text))
                        .is_some_and(|(found, group)| group == pgid && !found.zombie)
            })
        })
    }

    /// Reads proc(5) `stat`. The second field, the program's name, may hold blanks, brackets and
    /// any byte: what follows is counted from the last bracket.
    pub(super) fn parse(stat: &[u8]) -> Option<(Found, i32)> {
        let end = stat.iter().rposition(|&byte| byte == b')')?;
        let rest = str::from_utf8(&stat[end + 1..]).ok()?;
        // Fields 3 (state), 5 (process group) and 22 (start time).
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let start_ticks = fields.nth(16)?.parse().ok()?;
        let zombie = matches!(state, "Z" | "X" | "x");
        Some((
            Found {
                zombie,
                start_ticks,
            },
            group,
        ))
    }
}

#[cfg(target_os = "macos")]
mod system {
    use std::ffi::CStr;
    use std::mem::MaybeUninit;
    use std::ptr;

    use super::Found;

    pub(super) fn kernel_boot() -> Option<String> {
        // Not `kern.boottime`, which moves whenever the clock is set.
        let mut text = [0_u8; 64];
        let mut len = text.len();
        // SAFETY: the name is a C string, and the kernel writes at most `len` bytes into `text`.
        let result = unsafe {
            libc::sysctlbyname(
                c"kern.bootsessionuuid".as_ptr(),
                text.as_mut_ptr().cast(),
                &raw mut len,
                ptr::null_mut(),
                0,
            )
        };
        let text = CStr::from_bytes_until_nul(&text).ok()?.to_str().ok()?;
        (result == 0 && !text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn pid_namespace() -> Option<String> {
        None
    }

    /// The id of the boot is enough.
    pub(super) fn machine_id() -> Option<String> {
        None
    }

    pub(super) fn find(pid: i32) -> Option<Found> {
        /// `SZOMB` of sys/proc.h.
        const ZOMBIE: u32 = 5;
        /// Microseconds in a second.
        const MICROS: u64 = 1_000_000;
        let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
        let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
        // SAFETY: the buffer has the given size.
        let written = unsafe {
            libc::proc_pidinfo(
                pid,
                libc::PROC_PIDTBSDINFO,
                0,
                info.as_mut_ptr().cast(),
                size,
            )
        };
        if written != size {
            return None;
        }
        // SAFETY: the kernel has filled it, and zeros would have been a value too.
        let info = unsafe { info.assume_init() };
        Some(Found {
            zombie: info.pbi_status == ZOMBIE,
            start_ticks: info.pbi_start_tvsec * MICROS + info.pbi_start_tvusec,
        })
    }

    pub(super) fn group_lives(_: i32) -> bool {
        // launchd reaps what it inherits at once: whatever still answers lives.
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_pid_and_start() {
        let pid = std::process::id().cast_signed();
        let start = start_ticks(pid);
        assert!(start.is_some());
        assert_eq!(identify(pid, start), Identity::Same);
        assert_eq!(identify(pid, start.map(|ticks| ticks + 1)), Identity::Gone);
        assert_eq!(identify(pid, None), Identity::Unknown);
    }

    #[test]
    fn numbers_that_kill_reads_otherwise_are_no_process() {
        for pid in [i32::MIN, -1, 0, 1] {
            assert_eq!(identify(pid, Some(0)), Identity::Gone, "{pid}");
            assert!(!group_lives(pid), "{pid}");
        }
    }

    #[test]
    fn the_place_is_reported() {
        let here = Place::here();
        assert!(!here.host.is_empty());
        assert_eq!(here.kernel_boot, kernel_boot());
        assert!(here.kernel_boot.as_ref().is_some_and(|id| id.len() == 36));
    }

    #[test]
    fn a_host_is_identified_by_its_kernel_boot() {
        let here = Place::here();
        let changed = |change: fn(&mut Place)| {
            let mut place = here.clone();
            place.machine = Some("a".into());
            change(&mut place);
            let mut same = here.clone();
            same.machine = Some("a".into());
            (same.is_same(&place), place.is_same(&same))
        };
        assert_eq!(
            changed(|place| place.host.push('x')),
            (true, true),
            "renamed"
        );
        assert_eq!(
            changed(|place| place.machine = None),
            (true, true),
            "by an earlier version"
        );
        let others: [fn(&mut Place); 4] = [
            |place| place.kernel_boot = Some("another".into()),
            |place| place.kernel_boot = None,
            |place| place.pid_namespace = Some("pid:[1]".into()),
            |place| place.machine = Some("another".into()),
        ];
        for change in others {
            assert_eq!(changed(change), (false, false));
        }
        let unknown = |host: &str| Place {
            host: host.to_owned(),
            kernel_boot: None,
            ..here.clone()
        };
        assert!(unknown("a").is_same(&unknown("a")));
        assert!(
            !unknown("a").is_same(&unknown("b")),
            "nothing else shows it"
        );
        let earlier = r#"{"host":"h","kernel_boot":"b","pid_namespace":"n"}"#;
        assert!(
            serde_json::from_str::<Place>(earlier)
                .unwrap()
                .machine
                .is_none()
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_name_with_brackets_is_no_field() {
        let stat = b"7 (a) Z (\xff b) S 1 42 7 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 9876 11 12";
        let (found, group) = system::parse(stat).unwrap();
        assert_eq!((found.zombie, found.start_ticks, group), (false, 9876, 42));
        assert!(system::parse(b"7 (cut").is_none());
    }
}
