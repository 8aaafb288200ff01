//! What the kernel reports: which boot of it this is, and how often it killed for want of memory.
//!
//! The own cgroup's count (v2, `memory.events`) is the better witness: it counts only kills among the
//! processes that run with this one, whichever limit they met. It is used while the cgroup is still the
//! same one; a new container or a restarted unit gets a new one that counts from 0, and then the
//! machine's count (`/proc/vmstat`) decides.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many processes the kernel has killed for want of memory, as far as it reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OomKills {
    /// On the machine, since it was started.
    pub(super) system: Option<u64>,
    /// In the own cgroup.
    pub(super) cgroup: Option<CgroupKills>,
}

/// The count of one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CgroupKills {
    /// The inode number of its directory, which the kernel does not give twice.
    pub(super) cgroup: u64,
    pub(super) kills: u64,
}

impl OomKills {
    /// Reads the counts as they are now.
    pub(super) fn read() -> Self {
        let vmstat = fs::read_to_string("/proc/vmstat").ok();
        Self {
            system: vmstat.and_then(|text| oom_kill(&text)),
            cgroup: own_cgroup(),
        }
    }

    /// Whether the kernel killed for want of memory between `noted` and now.
    pub(super) fn rose_since(&self, noted: &Self) -> bool {
        match (noted.cgroup, self.cgroup) {
            (Some(then), Some(now)) if then.cgroup == now.cgroup => now.kills > then.kills,
            _ => matches!((noted.system, self.system), (Some(then), Some(now)) if now > then),
        }
    }
}

fn own_cgroup() -> Option<CgroupKills> {
    let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
    // The line of version 2 is the one without a number and controllers.
    let path = memberships
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))?;
    let directory = Path::new("/sys/fs/cgroup").join(path);
    let kills = oom_kill(&fs::read_to_string(directory.join("memory.events")).ok()?)?;
    let cgroup = fs::metadata(&directory).ok()?.ino();
    Some(CgroupKills { cgroup, kills })
}

/// The number behind `oom_kill` in one of the kernel's lists of counts.
fn oom_kill(counts: &str) -> Option<u64> {
    let value = counts
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    value.trim().parse().ok()
}

/// The id of the kernel's boot: also another one on each machine. `None` where the system has none.
#[cfg(target_os = "linux")]
pub(super) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    checked(id.trim())
}

/// The id of the kernel's boot: also another one on each machine. `None` where the system has none.
#[cfg(target_os = "macos")]
pub(super) fn boot_id() -> Option<String> {
    let mut bytes = [0_u8; 128];
    let mut length = bytes.len();
    // SAFETY: the name ends with NUL, `length` is the buffer's length, nothing is set.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            bytes.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return None;
    }
    let id = str::from_utf8(bytes.get(..length)?).ok()?;
    checked(id.trim_end_matches('\0'))
}

/// The id of the kernel's boot: also another one on each machine. `None` where the system has none.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn boot_id() -> Option<String> {
    None
}

/// `id`, when it is one that a slot file's header can hold.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn checked(id: &str) -> Option<String> {
    (1..=super::layout::NAME_BYTES)
        .contains(&id.len())
        .then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills(system: Option<u64>, cgroup: Option<(u64, u64)>) -> OomKills {
        let cgroup = cgroup.map(|(cgroup, kills)| CgroupKills { cgroup, kills });
        OomKills { system, cgroup }
    }

    #[test]
    fn the_own_cgroup_decides_while_it_is_the_same() {
        for (noted, now, rose) in [
            (kills(None, None), kills(None, None), false),
            (kills(Some(3), None), kills(Some(3), None), false),
            (kills(Some(3), None), kills(Some(4), None), true),
            (kills(None, None), kills(Some(4), None), false),
            (kills(Some(3), None), kills(None, None), false),
            // A neighbour's kill is not ours.
            (
                kills(Some(3), Some((7, 1))),
                kills(Some(9), Some((7, 1))),
                false,
            ),
            (
                kills(Some(3), Some((7, 1))),
                kills(Some(4), Some((7, 2))),
                true,
            ),
            // A new cgroup counts from 0: the machine's count decides.
            (
                kills(Some(3), Some((7, 1))),
                kills(Some(4), Some((8, 0))),
                true,
            ),
            (
                kills(Some(3), Some((7, 1))),
                kills(Some(3), Some((8, 2))),
                false,
            ),
        ] {
            assert_eq!(now.rose_since(&noted), rose, "{noted:?} {now:?}");
        }
    }

    #[test]
    fn the_count_is_found_among_its_likes() {
        let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(oom_kill(events), Some(2));
        assert_eq!(oom_kill("oom 3\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_shows_its_boot_and_its_kills() {
        assert_eq!(boot_id().map(|id| id.len()), Some(36));
        assert!(OomKills::read().system.is_some());
    }
}
