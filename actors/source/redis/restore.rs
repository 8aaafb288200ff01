//! Puts messages that a server has lost, and this daemon holds, back to the server.
//!
//! A server that was started again without its data does not know this boot. A server that is back at an older state (a
//! snapshot, a replica that was behind) knows the boot, but not the batches that it gave it since. The last number that
//! the server knows shows that: heartbeats and `take` compare it with the highest number that has brought a batch, and no
//! script raises it before the held messages are back. A batch that is missing for another reason is noticed by heartbeats,
//! and when its ends are reported. No other boot can have been given that batch while this boot was not judged dead. For
//! a boot that was judged dead the server keeps the last number that it knew then: batches beyond it were given to no
//! other boot, and go back under the new generation.
//!
//! A message that the server then has in two places, such as one that was taken after the snapshot, runs twice: at least
//! once.

use std::sync::Arc;

use parking_lot::Mutex;

use super::batches::Batches;
use super::list::List;
use super::scripts::RESTORE;
use super::server::Answer;

/// What a server has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It does not know this boot.
    All,
    /// It is back at an older state.
    Newest,
    /// It may have lost some batches of this daemon.
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

    /// Whether a batch is missing that the server should have: one held here before the heartbeat, of which no report has
    /// begun since.
    pub(super) fn any_is_missing(&self, boot: &str, before: &[u64], there: &[u64]) -> bool {
        let mut missing = before.iter().filter(|number| !there.contains(number));
        let kept = self.batches.lock().surely_kept_by(boot);
        missing.any(|number| kept.contains(number))
    }

    /// Puts back the batches that are held here and missing there, so that reports of failures and other daemons find them.
    pub(super) async fn restore(&self, boot: &Arc<str>, loss: Loss) -> Answer<()> {
        let mut messages = 0;
        let unfinished = self.batches.lock().unfinished_batches();
        for number in unfinished {
            messages += self.restore_batch(boot, number).await?;
        }
        // Last, as a server that knows the last number does not seem to be at an older state any more.
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

    /// Returns how many messages were put back.
    async fn restore_batch(&self, boot: &Arc<str>, number: u64) -> Answer<usize> {
        // Messages whose ends were reported since are not put back.
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

    /// Raises the last number that the server knows to the highest one that has brought a batch.
    async fn raise_last(&self, boot: &Arc<str>) -> Answer<()> {
        let mut script = RESTORE.key(self.list.key());
        script.arg(&**boot).arg(self.batches.lock().highest(boot));
        self.list.server().run::<i64>(&script).await.map(drop)
    }
}
