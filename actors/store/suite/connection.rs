//! What a test writes over one connection.

use super::*;
use crate::store::rows::MessageEnd;
use crate::store::traits::Writer;
use crate::store::write::{BeginBoot, EndMessages, ReapGone, TakeFire, reply_of};

/// One connection that writes.
pub(super) struct Connection(pub(super) Box<dyn Writer>);

impl Connection {
    pub(super) async fn write<O: Operation>(&mut self, operation: O) -> O::Reply {
        self.all(vec![operation]).await.remove(0)
    }

    /// In one transaction.
    pub(super) async fn all<O: Operation>(&mut self, operations: Vec<O>) -> Vec<O::Reply> {
        let writes = operations.into_iter().map(Into::into).collect();
        let applied = self.0.apply(writes).await;
        assert!(applied.away.is_none(), "{:?}", applied.away);
        let answers = applied.answers().into_iter();
        answers
            .map(|answer| reply_of::<O>(answer).unwrap())
            .collect()
    }

    pub(super) async fn push(&mut self, rows: Vec<NewTask>) -> Vec<i64> {
        let owner = ME.to_owned();
        self.write(InsertTasks { rows, owner }).await
    }

    pub(super) async fn claim(&mut self, owner: &str, limit: u32) -> Vec<ClaimedTask> {
        self.claim_until(owner, now_ms().div_euclid(1000) + 2, limit)
            .await
    }

    pub(super) async fn claim_until(
        &mut self,
        owner: &str,
        until_s: i64,
        limit: u32,
    ) -> Vec<ClaimedTask> {
        let write = ClaimTasks {
            owner: owner.to_owned(),
            from_s: None,
            until_s,
            most: Most {
                count: limit,
                bytes: u32::MAX,
            },
        };
        self.write(write).await.tasks
    }

    /// The ids that were refused.
    pub(super) async fn end(
        &mut self,
        owner: &str,
        task: &ClaimedTask,
        (disposition, result): (Disposition<i64>, &str),
    ) -> Vec<i64> {
        let end = task_end(task, disposition, result);
        let write = EndTasks {
            owner: owner.to_owned(),
            ends: vec![end],
        };
        self.write(write).await.stale
    }

    pub(super) async fn send(&mut self, rows: Vec<NewMessage>) -> Vec<i64> {
        let queue = "q".to_owned();
        self.write(InsertMessages { queue, rows }).await
    }

    pub(super) async fn fetch(&mut self, owner: &str, limit: u32) -> Vec<ClaimedMessage> {
        let write = ClaimMessages {
            queue: "q".to_owned(),
            owner: owner.to_owned(),
            most: Most {
                count: limit,
                bytes: u32::MAX,
            },
        };
        self.write(write).await
    }

    pub(super) async fn settle(
        &mut self,
        owner: &str,
        message: &ClaimedMessage,
        disposition: Disposition,
    ) -> Vec<i64> {
        let end = MessageEnd {
            id: message.id,
            fence: message.fence,
            entry: entry().into(),
            disposition,
        };
        let write = EndMessages {
            owner: owner.to_owned(),
            ends: vec![end],
        };
        self.write(write).await.stale
    }

    pub(super) async fn begin(&mut self, owner: &str) {
        self.write(BeginBoot(boot(owner))).await;
    }

    pub(super) async fn reap_silent(&mut self) -> Reaped {
        let (me, as_of_ms) = (ME.to_owned(), now_ms());
        self.write(ReapSilent { me, as_of_ms }).await
    }

    pub(super) async fn reap_gone(&mut self, owner: &str, crashes: Vec<Crash>) -> Reaped {
        let owner = owner.to_owned();
        self.write(ReapGone { owner, crashes }).await
    }

    pub(super) async fn claim_fire(&mut self, fire: Fire) -> Claim {
        self.write(ClaimFire(fire)).await
    }

    pub(super) async fn fired(&mut self, fire: Fire) -> bool {
        self.claim_fire(fire).await == Claim::Ours
    }

    /// By `OTHER`.
    pub(super) async fn take_fire(&mut self, uk: &str, from: &str, at_overlap: AtOverlap) -> Claim {
        let (uk, from, owner) = (uk.to_owned(), from.to_owned(), OTHER.to_owned());
        let write = TakeFire {
            uk,
            from,
            owner,
            at_overlap,
        };
        self.write(write).await
    }

    pub(super) async fn end_run(&mut self, uk: &str, status: &str) -> bool {
        self.end_run_of(uk, status, None).await
    }

    pub(super) async fn end_run_of(&mut self, uk: &str, status: &str, owner: Option<&str>) -> bool {
        let end = RunEnd {
            uk: uk.to_owned(),
            status: status.to_owned(),
            result: "r".repeat(600),
            pid: 7,
            ended_ms: now_ms(),
            only_of: owner.map(str::to_owned),
        };
        self.write(EndRun(end)).await
    }

    pub(super) async fn sync(&mut self, names: &[&str]) -> Vec<i64> {
        let known = |name: &&str| KnownEntry {
            entry: (*name).to_owned(),
            former: Vec::new(),
            name: (*name).to_owned(),
            expression: "* * * * * *".to_owned(),
        };
        let write = SyncEntries {
            partition: "script1".to_owned(),
            entries: names.iter().map(known).collect(),
        };
        self.write(write).await
    }
}
