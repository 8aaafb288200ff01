//! Watches the files, where `reload_on_change` says so.
//!
//! A file that is being written is not read: what the files hold must be other than at the last reading, and the same at two
//! looks in a row. Their contents are compared, so a file that is only touched is no change, and one that is put in the
//! place of another is. What was found faulty is not read again until it is other.

use std::time::Duration;

use actix::prelude::*;

use super::SupervisorActor;
use crate::config::Fingerprint;
use crate::reload::Origin;

/// Between two looks; so long a file must have been left alone.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct FileWatch {
    /// As they were read last, whatever came of it.
    read: Fingerprint,
    /// As they were at the last look.
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
    fn look(&mut self, now: Fingerprint) -> bool {
        let is_quiet = std::mem::replace(&mut self.seen, now) == now;
        is_quiet && now != self.read
    }
}

impl SupervisorActor {
    pub(super) fn look_at_files(&mut self, ctx: &mut Context<Self>) {
        let is_wanted = self.is_watching && self.reloads.is_idle() && !self.stop.begun();
        let Some(files) = self.files.as_ref().filter(|_| is_wanted) else {
            return;
        };
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let look = actix_rt::task::spawn_blocking(files.printer());
        ctx.spawn(look.into_actor(self).map(|print, actor, ctx| {
            actor.is_looking = false;
            match print {
                Ok(print) if actor.reloads.is_idle() && actor.watch.look(print) => {
                    // The report is in the log.
                    drop(actor.order_reload(Origin::Files, ctx));
                }
                Ok(_) => {}
                Err(cause) => log::error!("the files cannot be looked at: {cause}"),
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_they_are_left_alone_and_only_when_they_are_others() {
        let [old, half, whole] = [1, 2, 3].map(Fingerprint::of_test);
        let mut watch = FileWatch::new(old);
        for (now, is_read) in [(old, false), (half, false), (whole, false), (whole, true)] {
            assert_eq!(watch.look(now), is_read);
        }
        watch.was_read(whole);
        for now in [whole, whole, old, whole, whole] {
            assert!(!watch.look(now), "written and put back");
        }
        for (now, is_read) in [(old, false), (old, true)] {
            assert_eq!(watch.look(now), is_read);
        }
    }
}
