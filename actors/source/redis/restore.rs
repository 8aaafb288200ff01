//! A server that has lost data: what of it is held here goes back.
//!
//! Started again without its data, it does not know this boot. Back at an older state (a snapshot, a replica that was
//! behind) it knows the boot, and not what it gave it since. The last number that it knows shows that: heartbeats and
//! questions for messages compare it with the highest one that has brought a batch, and nothing raises it before what
//! is held is back. A batch that is missing without that is seen by heartbeats and when its ends are reported. No other
//! boot can have been given it while this boot was not judged dead. Of a boot that was judged dead the server keeps the
//! last number that it knew then: batches beyond it were given to no other boot, and go back under the new generation.
//!
//! What the server had in both places, as a message that was taken after the snapshot, runs again: at least once.

use std::sync::Arc;

use parking_lot::Mutex;

use super::batches::Batches;
use super::list::List;
use super::scripts::RESTORE;
use super::server::Answer;

/// What a server has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It knows nothing of this boot.
    All,
    /// It is back at an older state.
    Newest,
    /// Some batches of this daemon, maybe.
    Batches,
}

/// See the module's header.
pub(super) struct Restorer {
    list: Arc<List>,
    batches: Arc<Mutex<Batches>>,
}

impl Restorer {
    pub(super) fn new(list: &Arc<List>, batches: &Arc<Mutex<Batches>>) -> Self {
        Self {
            list: Arc::clone(list),
            batches: Arc::clone(batches),
        }
    }

    /// Whether a batch is missing that was there before the heartbeat, and of which nothing was reported meanwhile.
    pub(super) fn any_is_missing(&self, boot: &str, before: &[u64], there: &[u64]) -> bool {
        let mut missing = before.iter().filter(|number| !there.contains(number));
        let kept = self.batches.lock().surely_kept_by(boot);
        missing.any(|number| kept.contains(number))
    }

    /// Puts back what is held here and not there, so that failures, back-offs and other daemons find it.
    pub(super) async fn restore(&self, boot: &Arc<str>, loss: Loss) -> Answer<()> {
        let mut messages = 0;
        let unfinished = self.batches.lock().unfinished_batches();
        for number in unfinished {
            messages += self.restore_batch(boot, number).await?;
        }
        // Last: it ends the search.
        self.raise_last(boot).await?;
        let (queue, server) = (self.list.queue(), &self.list.config.server_name);
        match loss {
            Loss::All => log::error!(
                "queue `{queue}`: redis `{server}` has lost its data, and with them the messages that waited there; the {messages} that this daemon held are put back"
            ),
            Loss::Newest => log::error!(
                "queue `{queue}`: redis `{server}` is back at an older state, and what came or was put off since then is lost; the {messages} messages that this daemon held and the server did not have are put back, some may run twice"
            ),
            Loss::Batches if messages > 0 => log::error!(
                "queue `{queue}`: redis `{server}` has lost {messages} messages that this daemon held; they are put back"
            ),
            Loss::Batches => {}
        }
        Ok(())
    }

    /// Answers how many messages were put back.
    async fn restore_batch(&self, boot: &Arc<str>, number: u64) -> Answer<usize> {
        // Ends that were reported meanwhile are not put back.
        let Some(kept) = self.batches.lock().kept(number) else {
            return Ok(0);
        };
        let mut script = RESTORE.key(self.list.key());
        script.arg(&**boot).arg(0);
        script.arg(&*kept.kept_by).arg(number).arg(kept.head);
        kept.messages.iter().for_each(|message| {
            script.arg(&message[..]);
        });
        let done: i64 = self.list.server().run(&script).await?;
        if done > 0 {
            self.batches.lock().put_back(number, boot);
        }
        Ok(if done == 1 { kept.messages.len() } else { 0 })
    }

    /// From here on the server knows all numbers that have brought a batch.
    async fn raise_last(&self, boot: &Arc<str>) -> Answer<()> {
        let mut script = RESTORE.key(self.list.key());
        script.arg(&**boot).arg(self.batches.lock().highest(boot));
        self.list.server().run::<i64>(&script).await.map(drop)
    }
}
