//! Releases orphaned claims: rows that this boot owns and the scheduler does not know.
//!
//! They are those of an earlier DelayQueueActor, and those of a claim or a push whose answer was lost. All of this boot's
//! rows are released but for those that wait or run here, so no other row of this boot may be claimed at that time:
//! nothing is claimed meanwhile, and the release waits for the claims and the pushes that are under way, whose ids are not
//! known yet. Their tasks would be released, and run all the same.

use super::{Ctx, Scheduler};
use crate::outage::Outage;
use crate::settler::Refusal;
use crate::store::write::ReleaseTasks;

impl Scheduler {
    /// At once, or where a poll or a push is under way, at its end.
    pub(in crate::delay_queue) fn release_orphans(&mut self, ctx: &mut Ctx) {
        self.ready = false;
        self.release_orphans_later = self.reserved > 0 || self.polling;
        if self.release_orphans_later {
            return;
        }
        let mut keep = self.config.running.claims();
        keep.extend(self.due_queue.claims());
        let (db, owner) = (self.db.clone(), self.config.owner.clone());
        let release = ReleaseTasks { owner, keep };
        let release = async move {
            let mut outage = Outage::new("the delay queue");
            while let Err(cause) = db.write(release.clone()).await {
                if cause.is_refusal() {
                    log::error!(
                        "delayed tasks of this daemon that nobody runs stay as they are: {cause}"
                    );
                    break;
                }
                tokio::time::sleep(outage.failed(cause)).await;
            }
        };
        Self::spawn(ctx, release, |scheduler, (), ctx| {
            scheduler.ready = true;
            scheduler.poll(ctx);
        });
    }

    /// To be called where a poll or a push has ended, and its claims are known.
    pub(super) fn release_orphans_that_waited(&mut self, ctx: &mut Ctx) {
        if self.release_orphans_later {
            self.release_orphans(ctx);
        }
    }
}
