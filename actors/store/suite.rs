//! What every database must do, written once against `Store`. A database is added by one line in `on_each`.
//!
//! Raw SQL stands only where another program is played, or a row is read: it must be understood by all of them.

use std::rc::Rc;
use std::time::Duration;

use self::worlds::World;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::cron_run::FIRES_MS;
use super::rows::{
    AtOverlap, Beat, BootRow, Charge, Claim, ClaimedMessage, ClaimedTask, DeadLetterFilter,
    EntryName, FailedAttempt, Fire, KnownEntry, MessageEnd, NewDeadLetter, NewMessage, NewTask,
    OutsideId, Reaped, RunEnd, TaskEnd, Victim,
};
use super::traits::Writer;
use super::write::{
    BeginBoot, ClaimFire, ClaimMessages, ClaimTasks, EndBoot, EndMessages, EndRun, EndTasks,
    ForgetDeaths, InsertDeadLetters, InsertMessages, InsertTasks, Most, NoteFailures, Operation,
    ReapGone, ReapSilent, ReleaseMessages, ReleaseTasks, RunStarted, SyncEntries, TakeFire,
    TrimRuns, TrimTasks, Write, reply_of,
};
use crate::backoff::Backoff;
use crate::clock::now_ms;
use crate::job::Disposition;

const ME: &str = "script1/me";
const OTHER: &str = "script2/other";

type Fact = fn(Rc<World>) -> LocalBoxFuture<'static, ()>;

/// Checks a fact on every database.
fn on_each(fact: Fact) {
    for world in worlds::all() {
        let world = Rc::new(world);
        let name = world.name;
        let _names = NamesDatabase(name);
        actix_rt::System::new().block_on(async move {
            world.store.migrate().unwrap();
            fact(world).await;
        });
    }
}

/// Names the database where the fact fails.
struct NamesDatabase(&'static str);

impl Drop for NamesDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was on {}", self.0);
        }
    }
}

macro_rules! facts {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            on_each(|$world| Box::pin(async move { $body }));
        }
    )*};
}

// After the macro, which they use.
mod boots;
mod browse;
mod budget;
mod clock;
mod daemon_orders;
mod dead_letters;
mod former_names;
mod idempotency;
mod orders;
mod permits;
mod questions;
mod refusals;
mod task_orders;
mod traces;
mod warnings;
mod worlds;

impl World {
    async fn writer(&self) -> Connection {
        Connection(self.store.writer().await.unwrap())
    }

    fn lines(&self, question: &str) -> Vec<String> {
        (self.lines)(question)
    }

    fn line(&self, question: &str) -> String {
        let mut lines = self.lines(question);
        assert_eq!(lines.len(), 1, "{question}");
        lines.remove(0)
    }

    fn status(&self, id: i64) -> String {
        self.line(&format!(
            "SELECT status AS line FROM delay_queue_log WHERE id = {id}"
        ))
    }

    async fn lag(&self, queue: &str) -> u64 {
        let asked = vec![(queue.to_owned(), 1000)];
        self.store.reader().queue_lags(asked).await.unwrap()[0]
    }

    /// The open runs that are to be ended.
    async fn replaced(&self) -> Vec<String> {
        let open = self.store.reader().open_runs("script1").await.unwrap();
        let marked = open.into_iter().filter(|run| run.replaced);
        let mut uks: Vec<String> = marked.map(|run| run.uk).collect();
        uks.sort();
        uks
    }

    /// Sets its last heartbeat back.
    fn silence(&self, owner: &str, ms: i64) {
        let at = now_ms() - ms;
        (self.execute)(&format!(
            "UPDATE boot SET heartbeat_ms = {at} WHERE owner = '{owner}'"
        ));
    }
}

/// One connection that writes.
struct Connection(Box<dyn Writer>);

impl Connection {
    async fn write<O: Operation>(&mut self, operation: O) -> O::Reply {
        self.all(vec![operation]).await.remove(0)
    }

    /// In one transaction.
    async fn all<O: Operation>(&mut self, operations: Vec<O>) -> Vec<O::Reply> {
        let writes = operations.into_iter().map(Into::into).collect();
        let applied = self.0.apply(writes).await;
        assert!(applied.away.is_none(), "{:?}", applied.away);
        let answers = applied.answers().into_iter();
        answers
            .map(|answer| reply_of::<O>(answer).unwrap())
            .collect()
    }

    async fn push(&mut self, rows: Vec<NewTask>) -> Vec<i64> {
        let owner = ME.to_owned();
        self.write(InsertTasks { rows, owner }).await
    }

    async fn claim(&mut self, owner: &str, limit: u32) -> Vec<ClaimedTask> {
        self.claim_until(owner, now_ms().div_euclid(1000) + 2, limit)
            .await
    }

    async fn claim_until(&mut self, owner: &str, until_s: i64, limit: u32) -> Vec<ClaimedTask> {
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
    async fn end(
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

    async fn send(&mut self, rows: Vec<NewMessage>) -> Vec<i64> {
        let queue = "q".to_owned();
        self.write(InsertMessages { queue, rows }).await
    }

    async fn fetch(&mut self, owner: &str, limit: u32) -> Vec<ClaimedMessage> {
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

    async fn settle(
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

    async fn begin(&mut self, owner: &str) {
        self.write(BeginBoot(boot(owner))).await;
    }

    async fn reap_silent(&mut self) -> Reaped {
        let (me, as_of_ms) = (ME.to_owned(), now_ms());
        self.write(ReapSilent { me, as_of_ms }).await
    }

    async fn reap_gone(&mut self, owner: &str, charges: Vec<Charge>) -> Reaped {
        let owner = owner.to_owned();
        self.write(ReapGone { owner, charges }).await
    }

    async fn claim_fire(&mut self, fire: Fire) -> Claim {
        self.write(ClaimFire(fire)).await
    }

    async fn fired(&mut self, fire: Fire) -> bool {
        self.claim_fire(fire).await == Claim::Ours
    }

    /// By `OTHER`.
    async fn take_fire(&mut self, uk: &str, from: &str, at_overlap: AtOverlap) -> Claim {
        let (uk, from, owner) = (uk.to_owned(), from.to_owned(), OTHER.to_owned());
        let write = TakeFire {
            uk,
            from,
            owner,
            at_overlap,
        };
        self.write(write).await
    }

    async fn end_run(&mut self, uk: &str, status: &str) -> bool {
        self.end_run_of(uk, status, None).await
    }

    async fn end_run_of(&mut self, uk: &str, status: &str, owner: Option<&str>) -> bool {
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

    async fn sync(&mut self, names: &[&str]) -> Vec<i64> {
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

fn boot(owner: &str) -> BootRow {
    BootRow {
        owner: owner.to_owned(),
        partition: "script1".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        interval_ms: 5000,
        version: "0.1.0",
    }
}

fn task(params: &str, due_ms: i64) -> NewTask {
    NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms,
        claimed: false,
        trace: None,
    }
}

fn tasks(n: i64) -> Vec<NewTask> {
    let now = now_ms();
    (0..n).map(|i| task(&i.to_string(), now)).collect()
}

fn message(payload: &[u8]) -> NewMessage {
    NewMessage {
        payload: Bytes::copy_from_slice(payload),
        key: None,
        headers: Vec::new(),
    }
}

fn entry() -> EntryName {
    EntryName {
        name: "orders".to_owned(),
        exec_cmd: "order".to_owned(),
    }
}

fn charge(victim: Victim, max_attempts: u32) -> Charge {
    Charge {
        victim,
        how: "SIGABRT".to_owned(),
        certain: true,
        max_attempts,
        backoff: Backoff {
            base: Duration::from_secs(60),
            max: Duration::from_secs(60),
        },
    }
}

/// A schedule fires at whole seconds only.
fn fire_time(at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(FIRES_MS)
}

fn fire(entry: &str, scheduled_ms: i64, uk: &str, is_log: bool) -> Fire {
    Fire {
        partition: "script1".to_owned(),
        entry: entry.to_owned(),
        scheduled_ms,
        uk: uk.to_owned(),
        name: "n".to_owned(),
        exec_cmd: "c".to_owned(),
        params: String::new(),
        owner: ME.to_owned(),
        machine: "{}".to_owned(),
        timeout_ms: 0,
        is_log,
        at_overlap: AtOverlap::Allow,
        expired: None,
        given_up: super::rows::GivenUp::default(),
        order: None,
    }
}

/// It has waited for its row for too long.
fn missed(fire: Fire) -> Fire {
    Fire {
        expired: Some("too late".to_owned()),
        ..fire
    }
}

fn started(uk: &str, pid: i32) -> RunStarted {
    let (uk, start_ticks) = (uk.to_owned(), Some(77));
    RunStarted {
        uk,
        pid,
        start_ticks,
    }
}

fn forbidding(entry: &str, scheduled_ms: i64, uk: &str) -> Fire {
    Fire {
        owner: format!("script1/{uk}"),
        at_overlap: skip(),
        ..fire(entry, scheduled_ms, uk, true)
    }
}

fn skip() -> AtOverlap {
    AtOverlap::Skip {
        result: "one runs".to_owned(),
    }
}

fn replacing(entry: &str, scheduled_ms: i64, uk: &str) -> Fire {
    Fire {
        at_overlap: AtOverlap::Replace,
        ..fire(entry, scheduled_ms, uk, true)
    }
}

fn task_end(task: &ClaimedTask, disposition: Disposition<i64>, result: &str) -> TaskEnd {
    TaskEnd {
        id: task.id,
        fence: task.fence,
        exec_cmd: task.exec_cmd.clone(),
        disposition,
        result: result.to_owned(),
    }
}

fn done() -> (Disposition<i64>, &'static str) {
    (Disposition::Complete, "ok")
}

fn dead<R>(error: &str, attempts: u32) -> Disposition<R> {
    Disposition::DeadLetter {
        error: error.to_owned(),
        attempts,
    }
}

facts! {
    async fn migrations_run_twice_and_find_nothing_to_do(world) {
        assert!(world.store.migrate().unwrap().is_empty());
    }

    async fn a_row_is_claimed_by_one_of_many_claimers(world) {
        let mut first = world.writer().await;
        first.push(tasks(200)).await;
        first.send((0..200).map(|_| message(b"x")).collect()).await;
        let claimers = (0..4).map(|n| {
            let world = Rc::clone(&world);
            async move {
                let (mut writer, owner) = (world.writer().await, format!("script{n}/x"));
                let (mut ids, mut messages) = (Vec::new(), Vec::new());
                for _ in 0..20 {
                    ids.extend(writer.claim(&owner, 7).await.into_iter().map(|t| t.id));
                    messages.extend(writer.fetch(&owner, 7).await.into_iter().map(|m| m.id));
                }
                (ids, messages)
            }
        });
        let claimed = futures_util::future::join_all(claimers).await;
        let (ids, messages): (Vec<_>, Vec<_>) = claimed.into_iter().unzip();
        for mut all in [ids.concat(), messages.concat()] {
            assert_eq!(all.len(), 200);
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 200);
        }
    }

    async fn a_result_of_one_who_was_taken_over_is_refused(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let stale = writer.claim(OTHER, 1).await.remove(0);
        let stale_message = writer.fetch(OTHER, 1).await.remove(0);
        writer.reap_gone(OTHER, Vec::new()).await;
        assert_eq!(writer.end(OTHER, &stale, done()).await, [stale.id]);
        assert_eq!(writer.settle(OTHER, &stale_message, Disposition::Complete).await, [stale_message.id]);
        let mine = writer.claim(ME, 1).await.remove(0);
        let my_message = writer.fetch(ME, 1).await.remove(0);
        for end in [done(), (Disposition::Release, "")] {
            assert_eq!(writer.end(OTHER, &stale, end).await, [stale.id]);
        }
        for disposition in [Disposition::Complete, Disposition::Release, dead("e", 1)] {
            assert_eq!(writer.settle(OTHER, &stale_message, disposition).await, [stale_message.id]);
        }
        assert!(writer.end(ME, &mine, done()).await.is_empty());
        assert!(writer.settle(ME, &my_message, Disposition::Complete).await.is_empty());
        assert_eq!(world.line("SELECT count(*) AS line FROM dead_letter"), "0");
    }

    async fn a_result_of_an_earlier_claim_by_the_same_owner_is_refused(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let (first, earlier) = (writer.claim(ME, 1).await.remove(0), writer.fetch(ME, 1).await.remove(0));
        writer.end(ME, &first, (Disposition::Release, "")).await;
        writer.settle(ME, &earlier, Disposition::Release).await;
        let (second, later) = (writer.claim(ME, 1).await.remove(0), writer.fetch(ME, 1).await.remove(0));
        assert_eq!((second.id, later.id), (first.id, earlier.id));
        assert!(second.fence > first.fence && later.fence > earlier.fence);
        assert_eq!(writer.end(ME, &first, done()).await, [first.id]);
        assert_eq!(writer.settle(ME, &earlier, Disposition::Complete).await, [earlier.id]);
        assert!(writer.end(ME, &second, done()).await.is_empty());
        assert_eq!(writer.end(ME, &second, done()).await, [second.id], "once");
        assert!(writer.settle(ME, &later, Disposition::Complete).await.is_empty());
    }

    async fn a_boot_is_judged_after_three_missed_heartbeats_and_only_its_rows_go_back(world) {
        let mut writer = world.writer().await;
        for owner in [ME, OTHER, "script3/alive"] {
            writer.begin(owner).await;
            writer.push(tasks(2)).await;
            writer.send(vec![message(b"x"), message(b"y")]).await;
            assert_eq!(writer.claim(owner, 2).await.len(), 2);
            assert_eq!(writer.fetch(owner, 2).await.len(), 2);
        }
        world.silence(OTHER, 14_000);
        assert_eq!(writer.reap_silent().await, Reaped::default());
        world.silence(OTHER, 16_000);
        world.silence(ME, 60_000);
        let reaped = writer.reap_silent().await;
        assert_eq!(reaped.boots, [OTHER]);
        assert_eq!((reaped.tasks, reaped.messages), (2, 2));
        assert_eq!(writer.reap_silent().await, Reaped::default(), "once");
        let owners = world.lines("SELECT owner AS line FROM delay_queue_log WHERE status = 2 ORDER BY owner");
        assert_eq!(owners, [ME, ME, "script3/alive", "script3/alive"]);
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message WHERE owner = ''"), "2");
    }

    async fn who_was_late_for_the_same_reason_as_the_judge_is_not_judged(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        world.silence(OTHER, 16_000);
        // The judge's own heartbeat is as old: both wait for the same server.
        let (me, as_of_ms) = (ME.to_owned(), now_ms() - 16_000);
        assert_eq!(writer.write(ReapSilent { me, as_of_ms }).await, Reaped::default());
        let beat = writer.0.heartbeat(&boot(ME)).await.unwrap();
        assert!((beat.at_ms - now_ms()).abs() < 5_000, "{beat:?}");
    }

    async fn a_boot_whose_last_heartbeat_lies_ahead_is_judged_too(world) {
        let mut writer = world.writer().await;
        for owner in [ME, OTHER] {
            writer.begin(owner).await;
        }
        world.silence(OTHER, -14_000);
        assert_eq!(writer.reap_silent().await, Reaped::default(), "a judgement that was late");
        // The server's clock was ahead, and the boot ended before it was set right.
        world.silence(OTHER, -60_000);
        world.silence(ME, -60_000);
        let (me, as_of_ms) = (ME.to_owned(), now_ms() + 50_000);
        assert_eq!(writer.write(ReapSilent { me, as_of_ms }).await, Reaped::default());
        assert_eq!(writer.reap_silent().await.boots, [OTHER]);
    }

    async fn what_a_dead_boot_claims_while_it_is_judged_goes_back_too(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        world.silence(OTHER, 60_000);
        writer.reap_silent().await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        writer.claim(OTHER, 1).await;
        writer.fetch(OTHER, 1).await;
        writer.reap_silent().await;
        assert_eq!((writer.claim(ME, 9).await.len(), writer.fetch(ME, 9).await.len()), (1, 1));
    }

    async fn a_boot_that_was_judged_dead_is_notified_once(world) {
        let mut writer = world.writer().await;
        assert_eq!(writer.0.heartbeat(&boot(OTHER)).await.unwrap().beat, Beat::Unknown);
        assert_eq!(writer.0.heartbeat(&boot(OTHER)).await.unwrap().beat, Beat::Alive);
        world.silence(OTHER, 60_000);
        writer.reap_silent().await;
        assert_eq!(writer.0.heartbeat(&boot(OTHER)).await.unwrap().beat, Beat::WasDead);
        assert_eq!(writer.0.heartbeat(&boot(OTHER)).await.unwrap().beat, Beat::Alive);
        assert_eq!(writer.reap_silent().await, Reaped::default(), "it lives again");
    }

    async fn a_boot_that_ended_stays_ended(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        writer.push(tasks(1)).await;
        writer.claim(OTHER, 1).await;
        let owner = OTHER.to_owned();
        assert_eq!(writer.write(EndBoot { owner }).await.tasks, 1);
        // Its heart may beat once more before the process is gone.
        writer.0.heartbeat(&boot(OTHER)).await.unwrap();
        world.silence(OTHER, 60_000);
        assert_eq!(writer.reap_silent().await, Reaped::default());
    }

    async fn a_death_of_a_batch_marks_its_messages_and_counts_no_attempt(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.send(vec![message(b"x"), message(b"y"), message(b"z")]).await;
        writer.fetch(OTHER, 3).await;
        let uncertain = |id: i64| Charge {
            certain: false,
            ..charge(Victim::Message { id, entry: entry() }, 1)
        };
        let reaped = writer.reap_gone(OTHER, vec![uncertain(ids[0]), uncertain(ids[1])]).await;
        assert_eq!((reaped.messages, reaped.charged, reaped.dead_letters.len()), (3, 2, 0));
        (world.execute)("UPDATE queue_message SET due_ms = 0");
        let mut fetched = writer.fetch(ME, 9).await;
        fetched.sort_by_key(|message| message.id);
        let seen: Vec<(u32, bool)> = fetched.iter().map(|m| (m.attempts, m.suspect)).collect();
        assert_eq!(seen, [(0, true), (0, true), (0, false)]);
    }

    async fn a_death_is_charged_once_however_often_it_is_reported(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.push(tasks(2)).await;
        let messages = writer.send(vec![message(b"x"), message(b"y")]).await;
        writer.claim(OTHER, 2).await;
        writer.fetch(OTHER, 2).await;
        let charges = || vec![
            charge(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 3),
            charge(Victim::Message { id: messages[0], entry: entry() }, 3),
        ];
        let reaped = writer.reap_gone(OTHER, charges()).await;
        assert_eq!((reaped.tasks, reaped.messages, reaped.charged, reaped.dead_letters.len()), (2, 2, 2, 0));
        let again = writer.reap_gone(OTHER, charges()).await;
        assert_eq!((again.tasks, again.messages, again.charged), (0, 0, 0));
        assert_eq!(world.lines("SELECT attempts AS line FROM delay_queue_log ORDER BY id"), ["1", "0"]);
        assert_eq!(world.lines("SELECT attempts AS line FROM queue_message ORDER BY id"), ["1", "0"]);
        // After its back-off it runs alone; its neighbour runs now.
        let (now, later) = (writer.claim(ME, 9).await, now_ms() / 1000 + 120);
        assert_eq!((now.len(), now[0].id, now[0].suspect), (1, ids[1], false));
        let suspect = writer.claim_until(ME, later, 9).await.remove(0);
        assert_eq!((suspect.id, suspect.attempts, suspect.suspect), (ids[0], 1, true));
        (world.execute)("UPDATE queue_message SET due_ms = 0");
        let fetched = writer.fetch(ME, 9).await;
        assert_eq!(fetched.iter().map(|m| m.suspect).collect::<Vec<_>>(), [true, false]);
    }

    async fn the_last_death_makes_a_dead_letter_of_all_there_is(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(vec![task("测试 'quoted' 😀", now_ms())]).await;
        let mut sent = message(b"\0\xff bytes");
        sent.key = Some(Bytes::from_static(b"key"));
        sent.headers = vec![("trace".to_owned(), Bytes::from_static(b"\x01"))];
        let messages = writer.send(vec![sent]).await;
        for (death, owner) in ["script1/a", "script1/b"].into_iter().enumerate() {
            (world.execute)("UPDATE queue_message SET due_ms = 0");
            writer.begin(owner).await;
            assert_eq!(writer.claim_until(owner, now_ms() / 1000 + 600, 1).await.len(), 1);
            assert_eq!(writer.fetch(owner, 1).await.len(), 1);
            let charges = vec![
                charge(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 2),
                charge(Victim::Message { id: messages[0], entry: entry() }, 2),
            ];
            assert_eq!(writer.reap_gone(owner, charges).await.dead_letters.len(), death * 2);
        }
        assert_eq!(world.status(ids[0]), "4");
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message"), "0");
        let dead_letters = world.store.reader().dead_letters(DeadLetterFilter::default(), 10).await.unwrap();
        assert_eq!(dead_letters.len(), 2);
        let of = |kind: &str| dead_letters.iter().find(|dead_letter| dead_letter.kind == kind).unwrap();
        assert_eq!(of("delay").payload, "测试 'quoted' 😀".as_bytes());
        assert_eq!(of("queue").payload, b"\0\xff bytes");
        assert_eq!((of("queue").name.as_str(), of("queue").exec_cmd.as_str()), ("orders", "order"));
        assert!(dead_letters.iter().all(|l| l.attempts == 2 && l.error.contains("SIGABRT") && l.partition == "script1"));
        let kept = world.line("SELECT headers AS line FROM dead_letter WHERE msg_key IS NOT NULL");
        assert!(kept.contains("trace"), "{kept}");
    }

    async fn a_message_that_lives_elsewhere_is_charged_once_for_each_process_it_ended(world) {
        let mut writer = world.writer().await;
        let id = |source: &str, id: &str| OutsideId {
            kind: "kafka",
            source: source.to_owned(),
            id: id.to_owned(),
        };
        let (longest, other_case) = ("测".repeat(255), "T/g");
        let ids = [id("t/g", "0/7"), id("t/g", "0/8"), id(other_case, "0/7"), id(&longest, &longest)];
        for owner in ["script1/a", "script1/b"] {
            writer.begin(owner).await;
            let charges = || vec![
                charge(Victim::Outside(ids[0].clone()), 2),
                Charge { certain: false, ..charge(Victim::Outside(ids[1].clone()), 2) },
                charge(Victim::Outside(ids[3].clone()), 2),
            ];
            assert_eq!(writer.reap_gone(owner, charges()).await.charged, 3);
            assert_eq!(writer.reap_gone(owner, charges()).await.charged, 0, "a death counts once");
        }
        // A boot that this database does not know.
        writer.reap_gone("script1/c", vec![charge(Victim::Outside(ids[2].clone()), 2)]).await;
        let reader = world.store.reader();
        let deaths = reader.deaths("kafka", "t/g").await.unwrap();
        let seen: Vec<(&str, u32)> = deaths.iter().map(|d| (d.id.as_str(), d.attempts)).collect();
        assert_eq!(seen, [("0/7", 2), ("0/8", 0)]);
        assert!(deaths.iter().all(|d| (30_000..=60_000).contains(&d.wait_ms)), "{deaths:?}");
        assert_eq!(reader.deaths("kafka", &longest).await.unwrap()[0].id, longest);
        assert!(reader.deaths("kafka", other_case).await.unwrap().is_empty());
        assert!(reader.deaths("redis", "t/g").await.unwrap().is_empty());
        assert_eq!(world.line("SELECT deaths AS line FROM death WHERE message_id = '0/8'"), "2");
    }

    async fn deaths_of_what_is_finished_are_forgotten_and_old_ones_trimmed(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let id = |id: &str| OutsideId {
            kind: "redis",
            source: "list".to_owned(),
            id: id.to_owned(),
        };
        let charges = ["a", "b", "c"].map(|one| charge(Victim::Outside(id(one)), 5));
        writer.reap_gone(OTHER, charges.into()).await;
        let forgotten = writer.write(ForgetDeaths { ids: vec![id("a"), id("a"), id("z")] }).await;
        assert_eq!(forgotten, 1);
        let month_ago = now_ms() - 31 * 24 * 3600 * 1000;
        (world.execute)(&format!("UPDATE death SET died_ms = {month_ago} WHERE message_id = 'b'"));
        writer.begin(ME).await;
        assert_eq!(world.lines("SELECT message_id AS line FROM death"), ["c"]);
    }

    async fn failed_attempts_of_what_lives_elsewhere_are_counted_once_and_make_no_suspect(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let id = |id: &str| OutsideId { kind: "kafka", source: "t/g".to_owned(), id: id.to_owned() };
        let failed = |message: &str, attempt| FailedAttempt { message: id(message), attempt, wait_ms: 60_000 };
        for failures in [vec![failed("0/1", 1), failed("0/2", 1)], vec![failed("0/1", 2)], vec![failed("0/1", 1)]] {
            writer.write(NoteFailures { failures }).await;
        }
        // The next attempt ends its process.
        writer.reap_gone(OTHER, vec![charge(Victim::Outside(id("0/2")), 5)]).await;
        let known = world.store.reader().deaths("kafka", "t/g").await.unwrap();
        let seen: Vec<_> = known.iter().map(|d| (d.id.as_str(), d.attempts, d.suspect)).collect();
        assert_eq!(seen, [("0/1", 2, false), ("0/2", 2, true)]);
        assert!(known.iter().all(|d| (30_000..=60_000).contains(&d.wait_ms)), "{known:?}");
    }

    async fn a_death_is_not_charged_to_what_has_finished(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.push(tasks(1)).await;
        let messages = writer.send(vec![message(b"x")]).await;
        let claimed = writer.claim(OTHER, 1).await.remove(0);
        let fetched = writer.fetch(OTHER, 1).await.remove(0);
        writer.end(OTHER, &claimed, done()).await;
        writer.settle(OTHER, &fetched, Disposition::Complete).await;
        let charges = vec![
            charge(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 1),
            charge(Victim::Message { id: messages[0], entry: entry() }, 1),
        ];
        let reaped = writer.reap_gone(OTHER, charges).await;
        assert_eq!((reaped.charged, reaped.dead_letters.len()), (0, 0));
        assert_eq!(world.status(ids[0]), "3");
    }

    async fn a_retry_comes_back_when_it_is_due(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        let due_ms = now_ms() + 60_000;
        writer.end(ME, &claimed, (Disposition::Retry(due_ms), "no")).await;
        assert!(writer.claim(ME, 9).await.is_empty());
        let again = writer.claim_until(ME, due_ms / 1000, 9).await.remove(0);
        assert_eq!((again.due_ms, again.attempts, again.suspect), (due_ms, 1, false));

        let fetched = writer.fetch(ME, 1).await.remove(0);
        writer.settle(ME, &fetched, Disposition::Retry(Duration::from_secs(60))).await;
        assert!(writer.fetch(ME, 9).await.is_empty());
        (world.execute)("UPDATE queue_message SET due_ms = due_ms - 60000");
        assert_eq!(writer.fetch(ME, 9).await[0].attempts, 1);
    }

    async fn a_failure_is_a_dead_letter(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(1)).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        assert!(writer.end(ME, &claimed, (dead(&"e".repeat(2000), 5), "{}")).await.is_empty());
        assert_eq!(world.status(ids[0]), "4");
        let dead_letter = world.store.reader().dead_letters(DeadLetterFilter::default(), 1).await.unwrap().remove(0);
        assert_eq!((dead_letter.attempts, dead_letter.error.chars().count()), (5, 1000));
        assert_eq!(dead_letter.original_id, ids[0].to_string());
    }

    async fn dead_letters_of_messages_that_live_elsewhere_keep_all_there_is(world) {
        let mut writer = world.writer().await;
        let dead_letter = |payload: &'static [u8]| NewDeadLetter {
            kind: "redis",
            source: "list".to_owned(),
            entry: entry(),
            original_id: "b/7".to_owned(),
            payload: Bytes::from_static(payload),
            key: Some(Bytes::from_static(b"\xff")),
            headers: vec![("trace".to_owned(), Bytes::from_static(b"\0"))],
            error: "\0".repeat(2000),
            attempts: 5,
            partition: "script1".to_owned(),
            first_ms: 7,
        };
        let dead_letters = vec![dead_letter(b"\0\xff"), dead_letter(b"")];
        writer.write(InsertDeadLetters { dead_letters }).await;
        let kept = world.store.reader().dead_letters(DeadLetterFilter::default(), 9).await.unwrap();
        let payloads: Vec<&[u8]> = kept.iter().map(|dead_letter| dead_letter.payload.as_slice()).collect();
        assert_eq!(payloads, [&b""[..], b"\0\xff"]);
        assert_eq!((kept[0].name.as_str(), kept[0].attempts, kept[0].first_ms), ("orders", 5, 7));
        assert_eq!(kept[0].error, "\u{fffd}".repeat(999) + "…");
    }

    async fn claims_are_first_in_first_out(world) {
        let mut writer = world.writer().await;
        let sent = writer.send((0..50_u8).map(|n| message(&[n])).collect()).await;
        let mut fetched = Vec::new();
        for _ in 0..10 {
            fetched.extend(writer.fetch(ME, 5).await.into_iter().map(|m| m.id));
        }
        assert_eq!(fetched, sent);
        let now = now_ms();
        let rows = [30, 10, 20].map(|s| task(&s.to_string(), now - s * 1000));
        writer.push(rows.into()).await;
        let claimed = writer.claim(ME, 2).await;
        assert_eq!(claimed.iter().map(|t| t.params.as_str()).collect::<Vec<_>>(), ["30", "20"]);
    }

    async fn queues_do_not_see_each_other(world) {
        let mut writer = world.writer().await;
        let (queue, rows) = ("another".to_owned(), vec![message(b"x")]);
        writer.write(InsertMessages { queue, rows }).await;
        assert!(writer.fetch(ME, 9).await.is_empty());
        assert_eq!(world.lag("q").await, 0);
        assert_eq!(world.lag("another").await, 1);
    }

    async fn ten_thousand_rows_in_one_list_have_their_ids_in_order(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(10_000)).await;
        assert_eq!(ids.len(), 10_000);
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let (last, n) = (ids[9_999], "9999");
        assert_eq!(world.line(&format!("SELECT params AS line FROM delay_queue_log WHERE id = {last}")), n);
        let messages = writer.send((0..10_000).map(|_| message(b"x")).collect()).await;
        assert!(messages.len() == 10_000 && messages.windows(2).all(|pair| pair[0] < pair[1]));
    }

    async fn a_claimed_push_is_ours_from_the_start(world) {
        let mut writer = world.writer().await;
        let mut row = task("x", now_ms());
        row.claimed = true;
        let ids = writer.push(vec![row]).await;
        assert!(writer.claim(OTHER, 9).await.is_empty());
        let end = TaskEnd {
            id: ids[0],
            fence: super::rows::FIRST_FENCE,
            exec_cmd: "c".to_owned(),
            disposition: Disposition::Complete,
            result: "ok".to_owned(),
        };
        let write = EndTasks { owner: ME.to_owned(), ends: vec![end] };
        assert!(writer.write(write).await.stale.is_empty());
    }

    async fn text_and_bytes_come_back_as_they_went(world) {
        let mut writer = world.writer().await;
        let odd = "'; DROP TABLE boot; -- \" \\ % _ 测试 😀\r\n\t";
        let ids = writer.push(vec![task(odd, now_ms())]).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        assert_eq!(claimed.params, odd);
        let mut sent = message(b"\0\x01\xff'\"");
        sent.key = Some(Bytes::new());
        sent.headers = vec![(odd.to_owned(), Bytes::from_static(b"\0\xff"))];
        writer.send(vec![sent.clone(), message(b"")]).await;
        let fetched = writer.fetch(ME, 2).await;
        assert_eq!((&fetched[0].payload, &fetched[0].headers), (&sent.payload, &sent.headers));
        assert_eq!((fetched[0].key.as_deref(), fetched[1].key.as_deref()), (Some(&b""[..]), None));
        assert!(fetched[1].payload.is_empty());
        let result = format!("{odd}\0{}", "😀".repeat(600));
        writer.end(ME, &claimed, (Disposition::Complete, &result)).await;
        let kept = world.line(&format!("SELECT result AS line FROM delay_queue_log WHERE id = {}", ids[0]));
        assert_eq!(kept.chars().count(), 500);
        assert!(kept.starts_with(&format!("{odd}\u{fffd}😀")) && kept.ends_with('…'), "{kept}");
    }

    async fn a_refused_write_leaves_its_neighbours_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("DROP TABLE queue_message");
        let writes: Vec<Write> = vec![
            InsertTasks { rows: tasks(1), owner: ME.to_owned() }.into(),
            InsertMessages { queue: "q".to_owned(), rows: vec![message(b"x")] }.into(),
            InsertTasks { rows: tasks(1), owner: ME.to_owned() }.into(),
        ];
        let applied = writer.0.apply(writes.into()).await;
        let fine: Vec<bool> = applied.answers().iter().map(Result::is_ok).collect();
        assert_eq!(fine, [true, false, true]);
        assert_eq!(world.line("SELECT count(*) AS line FROM delay_queue_log"), "2");
    }

    async fn one_fire_for_each_entry_and_second(world) {
        let mut writer = world.writer().await;
        assert!(writer.fired(fire("e", 1000, "a", true)).await);
        assert!(!writer.fired(fire("e", 1000, "b", true)).await);
        assert!(writer.fired(fire("e", 2000, "c", true)).await);
        assert!(writer.fired(fire("f", 1000, "d", true)).await);
        assert_eq!(world.lines("SELECT uk AS line FROM crontab_log ORDER BY uk"), ["a", "c", "d"]);
    }

    async fn a_forbidden_fire_is_skipped_while_a_run_of_its_entry_is_open(world) {
        let mut writer = world.writer().await;
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Ours);
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "b")).await, Claim::Others, "not its own rival");
        assert_eq!(writer.claim_fire(forbidding("e", 2000, "c")).await, Claim::Skipped, "claimed");
        assert_eq!(writer.claim_fire(forbidding("f", 2000, "d")).await, Claim::Ours, "another entry");
        let elsewhere = Fire { partition: "script2".to_owned(), ..forbidding("e", 2000, "e") };
        assert_eq!(writer.claim_fire(elsewhere).await, Claim::Ours, "another partition");
        assert!(writer.fired(fire("e", 2500, "g", true)).await, "allowed");
        writer.end_run("g", "success").await;
        writer.write(started("a", 7)).await;
        assert_eq!(writer.claim_fire(forbidding("e", 3000, "h")).await, Claim::Skipped, "started");
        let skipped = "SELECT uk || result || CASE WHEN start_time > 0 AND end_time = start_time THEN 1 ELSE 0 END AS line FROM crontab_log
            WHERE status = 'skipped' ORDER BY uk";
        assert_eq!(world.lines(skipped), ["cone runs1", "hone runs1"]);
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run WHERE state = 3 ORDER BY uk"), ["c", "g", "h"]);
        assert!(!writer.end_run("c", "lost").await);
        writer.end_run("a", "success").await;
        assert_eq!(writer.claim_fire(forbidding("e", 4000, "i")).await, Claim::Ours);
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log WHERE uk IN ('a', 'c', 'g', 'h', 'i')"), "5");
    }

    async fn a_missed_fire_ends_as_it_is_written_and_stands_in_nobodys_way(world) {
        let mut writer = world.writer().await;
        assert_eq!(writer.claim_fire(missed(forbidding("e", 1000, "a"))).await, Claim::Missed);
        assert_ne!(writer.claim_fire(missed(forbidding("e", 1000, "a"))).await, Claim::Ours, "asked again");
        assert_eq!(writer.claim_fire(forbidding("e", 2000, "b")).await, Claim::Ours, "nothing runs");
        assert_eq!(writer.claim_fire(missed(replacing("e", 3000, "c"))).await, Claim::Missed);
        assert_eq!(world.replaced().await, [""; 0], "what does not begin replaces nothing");
        assert_eq!(writer.claim_fire(fire("e", 1000, "d", true)).await, Claim::Others);
        let rows = "SELECT uk || status || result || CASE WHEN start_time > 0 AND end_time = start_time THEN 1 ELSE 0 END AS line
            FROM crontab_log ORDER BY uk";
        assert_eq!(world.lines(rows), ["afailedtoo late1", "brunning0", "cfailedtoo late1"]);
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run WHERE state = 3 ORDER BY uk"), ["a", "c"]);
    }

    async fn a_claim_that_is_given_up_inserts_nothing(world) {
        let mut writer = world.writer().await;
        let claim = fire("e", 1000, "a", true);
        claim.given_up.set();
        assert_eq!(writer.claim_fire(claim).await, Claim::Missed);
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run"), "0");
        assert_eq!(writer.claim_fire(fire("e", 1000, "b", true)).await, Claim::Ours);
    }

    async fn a_fire_that_waits_has_no_row_before_its_entry_is_free(world) {
        let mut writer = world.writer().await;
        let waiting = |second, uk| Fire { at_overlap: AtOverlap::Wait, ..fire("e", second, uk, true) };
        writer.fired(fire("e", 5000, "a", true)).await;
        writer.fired(fire("f", 1000, "other entry", true)).await;
        assert_eq!(writer.claim_fire(waiting(1000, "b")).await, Claim::Busy);
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run WHERE entry = 'e'"), "1");
        assert!(writer.end_run("a", "success").await);
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(waiting(1000, "b")).await, Claim::Ours);
        }
        assert_eq!(writer.claim_fire(waiting(2000, "c")).await, Claim::Busy);
        assert_eq!(writer.claim_fire(waiting(1000, "d")).await, Claim::Others, "another daemon's");
    }

    async fn a_claim_that_is_repeated_is_answered_as_before(world) {
        let mut writer = world.writer().await;
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Ours);
            assert_eq!(writer.claim_fire(forbidding("e", 2000, "b")).await, Claim::Skipped);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log"), "2");
        assert_eq!(writer.take_fire("a", "script1/a", AtOverlap::Allow).await, Claim::Ours);
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Others, "taken over meanwhile");
        writer.fired(fire("f", 1000, "c", false)).await;
        writer.end_run("c", "success").await;
        assert!(!writer.fired(fire("f", 1000, "c", false)).await, "made meanwhile");
    }

    async fn a_fire_that_replaces_marks_the_open_runs_of_earlier_seconds(world) {
        let mut writer = world.writer().await;
        for (second, uk) in [(1000, "a"), (2000, "b"), (5000, "late")] {
            assert_eq!(writer.claim_fire(fire("e", second, uk, true)).await, Claim::Ours);
        }
        writer.fired(fire("f", 1000, "other entry", true)).await;
        writer.fired(Fire { partition: "script2".to_owned(), ..fire("e", 1000, "other partition", true) }).await;
        writer.write(started("a", 7)).await;
        assert_eq!(world.replaced().await, [""; 0]);
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(replacing("e", 3000, "c")).await, Claim::Ours);
            assert_eq!(world.replaced().await, ["a", "b"]);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log WHERE status = 'running'"), "6");
        writer.write(started("b", 8)).await;
        assert_eq!(world.replaced().await, ["a", "b"], "a process that has begun meanwhile does not take the mark away");
        assert!(writer.end_run("a", "killed").await);
        assert_eq!(world.replaced().await, ["b"]);
        assert_eq!(world.line("SELECT status AS line FROM cron_run WHERE uk = 'a'"), "killed");
    }

    async fn who_takes_a_fire_over_asks_again_whether_it_may_begin(world) {
        let mut writer = world.writer().await;
        writer.claim_fire(forbidding("e", 1000, "a")).await;
        assert_eq!(writer.take_fire("a", "script1/nobody", skip()).await, Claim::Others);
        assert_eq!(writer.take_fire("a", "script1/a", skip()).await, Claim::Ours, "nothing else runs");
        writer.fired(fire("e", 2000, "b", true)).await;
        assert_eq!(writer.take_fire("a", OTHER, skip()).await, Claim::Skipped, "an allowed run began");
        assert_eq!(writer.take_fire("a", OTHER, skip()).await, Claim::Others, "it has ended");
        let row = "SELECT status || result || CASE WHEN end_time > 0 THEN 1 ELSE 0 END AS line FROM crontab_log WHERE uk = 'a'";
        assert_eq!(world.line(row), "skippedone runs1");
        writer.fired(fire("e", 3000, "c", true)).await;
        assert_eq!(writer.take_fire("c", ME, AtOverlap::Replace).await, Claim::Ours);
        assert_eq!(world.replaced().await, ["b"]);
        writer.write(started("c", 7)).await;
        assert_eq!(writer.take_fire("c", OTHER, AtOverlap::Allow).await, Claim::Others, "it has begun");
    }

    async fn a_run_ends_once(world) {
        let mut writer = world.writer().await;
        writer.fired(fire("e", 1000, "a", true)).await;
        writer.write(started("a", 7)).await;
        let open = world.store.reader().open_runs("script1").await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].pid, open[0].start_ticks), (7, Some(77)));
        assert!(writer.end_run("a", "success").await);
        assert!(!writer.end_run("a", "lost").await);
        assert!(!writer.end_run("nobody", "lost").await);
        writer.write(started("a", 8)).await;
        let row = "SELECT status || pid || CASE WHEN end_time >= start_time THEN 1 ELSE 0 END AS line FROM crontab_log";
        assert_eq!(world.line(row), "success71");
        let result = world.line("SELECT result AS line FROM crontab_log");
        assert_eq!((result.chars().count(), result.chars().last()), (500, Some('…')));
        assert!(world.store.reader().open_runs("script1").await.unwrap().is_empty());
    }

    async fn runs_of_other_partitions_are_orphans_when_their_daemon_is_dead(world) {
        let mut writer = world.writer().await;
        writer.begin("script2/alive").await;
        for (owner, uk) in [("script2/alive", "a"), ("script2/dead", "b"), ("script2/dead", "c")] {
            let of_other = Fire { partition: "script2".to_owned(), owner: owner.to_owned(), ..fire(uk, 1000, uk, true) };
            writer.fired(of_other).await;
        }
        writer.end_run("c", "success").await;
        writer.fired(Fire { owner: "script1/dead".to_owned(), ..fire("own", 1000, "own", true) }).await;
        let orphans = world.store.reader().orphaned_runs("script1").await.unwrap();
        let orphans: Vec<&str> = orphans.iter().map(|run| run.uk.as_str()).collect();
        assert_eq!(orphans, ["b"]);
    }

    async fn a_run_that_was_taken_over_is_not_ended_by_who_lost_it(world) {
        let mut writer = world.writer().await;
        writer.fired(fire("e", 1000, "a", true)).await;
        assert_eq!(writer.take_fire("a", ME, AtOverlap::Allow).await, Claim::Ours);
        assert!(!writer.end_run_of("a", "failed", Some(ME)).await);
        assert_eq!(world.line("SELECT status AS line FROM crontab_log"), "running");
        assert!(writer.end_run_of("a", "failed", Some(OTHER)).await);
    }

    async fn runs_without_is_log_leave_crontab_log_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO crontab_log (name, uk, status) VALUES ('theirs', 'theirs', 'running')");
        writer.fired(fire("e", 1000, "a", false)).await;
        writer.write(started("a", 7)).await;
        assert!(writer.end_run("a", "success").await);
        assert!(!writer.end_run("theirs", "lost").await);
        assert_eq!(world.line("SELECT name || status || pid AS line FROM crontab_log"), "theirsrunning0");
    }

    async fn an_entry_that_was_not_live_in_between_begins_anew(world) {
        let mut writer = world.writer().await;
        let begun = now_ms();
        let since = writer.sync(&["a", "b"]).await;
        assert!(since.iter().all(|since| *since >= begun), "{since:?}");
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        let fires = [50_000, 70_000, 60_000].map(|ago| fire_time(begun - ago));
        writer.fired(fire("a", fires[0], "1", false)).await;
        writer.fired(fire("a", fires[1], "2", false)).await;
        writer.fired(fire("b", fires[2], "3", false)).await;
        assert_eq!(writer.sync(&["b", "a"]).await, [fires[2], fires[0]]);
        assert_eq!(writer.sync(&["b"]).await, [fires[2]]);
        // A daemon with the older configuration goes on firing for a moment.
        assert!(writer.fired(fire("a", fire_time(begun - 40_000), "4", false)).await);
        let again = writer.sync(&["a", "b"]).await;
        assert!(again[0] >= begun && again[0] <= now_ms(), "{again:?}");
        assert_eq!(again[1], fires[2]);
        assert!(writer.sync(&[]).await.is_empty());
        let row = "SELECT count(*) AS line FROM cron_entry WHERE entry = 'b' AND live = 0 AND last_fire_ms IS NULL";
        assert_eq!(world.line(row), "1");
    }

    async fn an_entry_that_has_not_fired_yet_counts_from_when_it_became_live(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a"]).await;
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 5000");
        assert_eq!(writer.sync(&["a"]).await, [since[0] - 5000], "a restart keeps it");
        writer.fired(fire("a", fire_time(since[0] - 9000), "1", false)).await;
        assert_eq!(writer.sync(&["a"]).await, [since[0] - 5000], "a fire of before does not count");
        (world.execute)("UPDATE cron_entry SET live = 0");
        assert!(writer.sync(&["a"]).await[0] >= since[0], "live anew");
    }

    async fn fires_of_a_clock_that_was_ahead_hide_no_gap(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a"]).await[0];
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        assert!(writer.fired(fire("a", since + 3_600_000, "ahead", false)).await);
        assert_eq!(writer.sync(&["a"]).await, [since - 90_000]);
        let fired = fire_time(since - 60_000);
        assert!(writer.fired(fire("a", fired, "1", false)).await);
        assert_eq!(writer.sync(&["a"]).await, [fired]);
        // As a row that was deleted may have left it.
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {}", since + 3_600_000));
        assert_eq!(writer.sync(&["a"]).await, [fired]);
    }

    async fn the_last_fire_outlives_its_row(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a", "b"]).await[0];
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        for (entry, second, uk) in [("a", 80_000, "1"), ("a", 70_000, "2"), ("b", 60_000, "3"), ("a", -50_000, "4")] {
            writer.fired(fire(entry, fire_time(since - second), uk, false)).await;
            writer.end_run(uk, "success").await;
        }
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {} WHERE entry = 'b'", since + 3_600_000));
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run"), "0");
        assert_eq!(writer.sync(&["a", "b"]).await, [70_000, 60_000].map(|ago| fire_time(since - ago)));
    }

    async fn only_a_live_entry_has_a_last_fire(world) {
        let mut writer = world.writer().await;
        writer.sync(&["a"]).await;
        writer.sync(&[]).await;
        assert!(writer.fired(fire("a", 5000, "1", false)).await, "made by a daemon with an older configuration");
        writer.end_run("1", "success").await;
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.line("SELECT COALESCE(last_fire_ms, 0) AS line FROM cron_entry"), "0");
        // As an older version left it.
        let begun = now_ms();
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {}", begun - 5000));
        assert!(writer.sync(&["a"]).await[0] >= begun);
    }

    async fn old_runs_are_trimmed_and_open_ones_stay(world) {
        let mut writer = world.writer().await;
        for uk in ["a", "b"] {
            writer.fired(fire(uk, 1000, uk, false)).await;
        }
        writer.end_run("a", "success").await;
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run"), ["b"]);
    }

    async fn a_row_of_the_go_program_runs_and_keeps_its_columns(world) {
        let mut writer = world.writer().await;
        let now_s = now_ms() / 1000;
        (world.execute)(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES ('theirs', 'go', 'p', 1, {now_s})"
        ));
        let claimed = writer.claim(ME, 9).await.remove(0);
        assert_eq!((claimed.due_ms, claimed.attempts, claimed.fence), (now_s * 1000, 0, 1));
        assert_eq!((claimed.exec_cmd.as_str(), claimed.params.as_str()), ("go", "p"));
        assert!(writer.end(ME, &claimed, done()).await.is_empty());
        let row = world.line(
            "SELECT name || exec_cmd || params || status || result || exec_time AS line
             FROM delay_queue_log WHERE create_time IS NULL",
        );
        assert_eq!(row, format!("theirsgop3ok{now_s}"));
    }

    async fn old_finished_tasks_are_deleted_and_nothing_else_is(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO delay_queue_log (name, exec_cmd, status, exec_time) VALUES
            ('waits', 'c', 1, 100), ('runs', 'c', 2, 100), ('done', 'c', 3, 100), ('failed', 'c', 4, 100),
            ('young', 'c', 3, 200)");
        let deleted = writer.write(TrimTasks { before_s: 200 }).await;
        assert_eq!(deleted, 2);
        let left = world.lines("SELECT name AS line FROM delay_queue_log ORDER BY name");
        assert_eq!(left, ["runs", "waits", "young"]);
    }

    async fn a_changed_exec_time_means_what_it_says(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(vec![task("x", now_ms() + 3_600_000)]).await;
        let sooner = now_ms() / 1000 - 5;
        (world.execute)(&format!("UPDATE delay_queue_log SET exec_time = {sooner} WHERE id = {}", ids[0]));
        assert_eq!(writer.claim(ME, 9).await[0].due_ms, sooner * 1000);
    }

    async fn running_rows_without_an_owner_are_left_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO delay_queue_log (name, exec_cmd, status, exec_time) VALUES ('theirs', 'go', 2, 1)");
        assert!(writer.claim(ME, 9).await.is_empty());
        writer.begin(OTHER).await;
        writer.reap_gone(OTHER, Vec::new()).await;
        writer.reap_gone("", Vec::new()).await;
        let release = ReleaseTasks { owner: ME.to_owned(), keep: Vec::new() };
        writer.write(release).await;
        assert_eq!(world.line("SELECT status AS line FROM delay_queue_log"), "2");
        assert_eq!(world.store.reader().foreign_running().await.unwrap(), 1);
    }

    async fn what_is_kept_is_not_given_back(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(3)).await;
        let messages = writer.send((0..3).map(|_| message(b"x")).collect()).await;
        writer.claim(ME, 3).await;
        writer.fetch(ME, 3).await;
        // The third is known by a claim that it no longer has.
        let keep = |ids: Vec<i64>| vec![(ids[1], 1), (ids[2], 0), (ids[2], 2)];
        writer.write(ReleaseTasks { owner: ME.to_owned(), keep: keep(ids) }).await;
        let (queue, owner, keep) = ("q".to_owned(), ME.to_owned(), keep(messages));
        writer.write(ReleaseMessages { queue, owner, keep }).await;
        assert_eq!(world.lines("SELECT status AS line FROM delay_queue_log ORDER BY id"), ["1", "2", "1"]);
        assert_eq!(writer.fetch(OTHER, 9).await.len(), 2);
    }

    async fn a_claim_takes_no_more_than_it_may(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(5)).await;
        writer.send((0..5).map(|_| message(b"x")).collect()).await;
        assert_eq!(writer.claim(ME, 3).await.len(), 3);
        assert_eq!(writer.fetch(ME, 3).await.len(), 3);
        assert!(writer.claim(ME, 0).await.is_empty() && writer.fetch(ME, 0).await.is_empty());
    }

    async fn the_lag_is_what_is_unfinished(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.send((0..3).map(|_| message(b"x")).collect()).await;
        let fetched = writer.fetch(ME, 2).await;
        assert_eq!(world.lag("q").await, 3);
        writer.settle(ME, &fetched[0], Disposition::Retry(Duration::from_secs(60))).await;
        writer.settle(ME, &fetched[1], Disposition::Complete).await;
        assert_eq!(world.lag("q").await, 2);
    }
}

/// Of several processes that start at once on a new database one does the migrations, and none fails.
#[test]
fn migrations_run_by_many_at_once_are_done_once() {
    for _ in 0..5 {
        for world in worlds::all() {
            let _names = NamesDatabase(world.name);
            let start = std::sync::Barrier::new(8);
            let store = &world.store;
            let done: Vec<usize> = std::thread::scope(|scope| {
                let migrate = || {
                    start.wait();
                    store.migrate().unwrap().len()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(migrate)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(done.iter().filter(|n| **n > 0).count(), 1, "{done:?}");
        }
    }
}
