//! The operating system's figures of this process, under the names that Prometheus clients give them.

/// None where the system does not say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> Self {
        use rustix::param::{clock_ticks_per_second, page_size};

        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name, in parentheses, may hold blanks.
        let fields: Vec<u64> = stat
            .rsplit_once(") ")
            .map(|(_, rest)| rest.split(' ').map(|field| field.parse().unwrap_or(0)))
            .map(Iterator::collect)
            .unwrap_or_default();
        let field = |number: usize| fields.get(number - 3).copied();
        let page = u64::try_from(page_size()).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "ticks of 10 ms")]
        let cpu = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        let fds = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu_seconds: field(14)
                .zip(field(15))
                .map(|(user, system)| cpu(user + system)),
            resident_bytes: field(24).map(|pages| pages * page),
            open_fds: fds.and_then(|fds| u64::try_from(fds.count()).ok()),
            threads: field(20),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read() -> Self {
        Self::default()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        let process = Process::read();
        assert!(process.cpu_seconds.is_some());
        assert!(process.resident_bytes.unwrap() > 1 << 20);
        assert!(process.open_fds.unwrap() > 2);
        assert!(process.threads.unwrap() >= 1);
    }
}
