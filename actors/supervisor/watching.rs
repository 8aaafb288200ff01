//! Watches the configuration files, if `reload_on_change` is on.
//!
//! A file that is being written is not read: the contents must differ from the last reading, and must be the same in
//! two scans in a row. Contents are compared, so touching a file is no change, and replacing a file by another one is.
//! Faulty contents are not read again until they change.

use std::time::Duration;

use actix::prelude::*;

use super::SupervisorActor;
use crate::config::Fingerprint;
use crate::reload::Origin;

/// Between two scans; a file must stay unchanged for this time before it is read.
pub(super) const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct FileWatch {
    /// As they were read last, whatever came of it.
    read: Fingerprint,
    /// As they were at the last scan.
    seen: Fingerprint,
}

impl FileWatch {
    pub(super) fn new(read: Fingerprint) -> Self {
        Self { read, seen: read }
    }

    pub(super) fn was_read(&mut self, print: Fingerprint) {
        self.read = print;
    }

    /// Whether they are to be read now.
    fn scan(&mut self, now: Fingerprint) -> bool {
        let is_quiet = std::mem::replace(&mut self.seen, now) == now;
        is_quiet && now != self.read
    }
}

impl SupervisorActor {
    pub(super) fn scan_files(&mut self, ctx: &mut Context<Self>) {
        let is_wanted = self.is_watching && self.reloads.is_idle() && !self.stop.begun();
        let Some(files) = self.files.as_ref().filter(|_| is_wanted) else {
            return;
        };
        if std::mem::replace(&mut self.is_scanning, true) {
            return;
        }
        let scan = actix_rt::task::spawn_blocking(files.printer());
        ctx.spawn(scan.into_actor(self).map(|print, actor, ctx| {
            actor.is_scanning = false;
            match print {
                Ok(print) if actor.reloads.is_idle() && actor.watch.scan(print) => {
                    // The report is in the log.
                    drop(actor.order_reload(Origin::Files, ctx));
                }
                Ok(_) => {}
                Err(cause) => log::error!("the configuration files cannot be read: {cause}"),
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_read_once_they_rest() {
        let [old, half, whole] = [1, 2, 3].map(Fingerprint::of_test);
        let mut watch = FileWatch::new(old);
        for (now, is_read) in [(old, false), (half, false), (whole, false), (whole, true)] {
            assert_eq!(watch.scan(now), is_read);
        }
        watch.was_read(whole);
        for now in [whole, whole, old, whole, whole] {
            assert!(!watch.scan(now), "written and put back");
        }
        for (now, is_read) in [(old, false), (old, true)] {
            assert_eq!(watch.scan(now), is_read);
        }
    }
}
