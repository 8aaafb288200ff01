//! What every process has: memory, CPU time, files, threads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::families::{Families, float, seconds};
use crate::http::process::Process;

#[derive(Debug)]
pub(super) struct OfProcess {
    pub(super) process: Process,
    pub(super) started_ms: i64,
}

impl Collector for OfProcess {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families(encoder);
        let process = &self.process;
        families.gauge(
            "start_time_seconds",
            "When this process began.",
            seconds(self.started_ms),
        )?;
        if let Some(used) = process.cpu_seconds {
            families.counter("cpu_seconds", "CPU time of this process.", used)?;
        }
        for (name, help, value) in [
            (
                "resident_memory_bytes",
                "Resident memory of this process.",
                process.resident_bytes,
            ),
            (
                "open_fds",
                "File descriptors of this process.",
                process.open_fds,
            ),
            ("threads", "Threads of this process.", process.threads),
        ] {
            if let Some(value) = value {
                families.gauge(name, help, float(value))?;
            }
        }
        Ok(())
    }
}
