//! Counts of warnings, and the notices that come of them.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::store::warnings::{
    CountAdd, CountNotice, CountOrigin, CountSegment, Counted, NoticeBreadth, NoticeClaim, Period,
};
use crate::store::write::{
    AddCount, ClaimNotices, EndNotices, SendNotices, TrimNotices, TrimWindows,
};

const MINUTE: Period = Period {
    limit: 100,
    seconds: 60,
};

fn add_of(environment: &str, flag: &str, periods: &[Period], segments: &[(u64, i64)]) -> CountAdd {
    CountAdd {
        origin: Arc::new(CountOrigin {
            environment: environment.to_owned(),
            partition: "script1".to_owned(),
            host: "here".to_owned(),
        }),
        flag: flag.into(),
        periods: periods.into(),
        segments: segments
            .iter()
            .map(|(ago_s, count)| CountSegment {
                at: Instant::now()
                    .checked_sub(Duration::from_secs(*ago_s))
                    .unwrap(),
                span: Duration::ZERO,
                count: *count,
                messages: vec![format!("{count} 拒绝 \"x\" {ago_s} s ago")],
            })
            .collect(),
    }
}

fn add(flag: &str, count: i64) -> CountAdd {
    add_of("dev", flag, &[MINUTE], &[(0, count)])
}

fn claim(owner: &str, breadth: NoticeBreadth, keep: &[i64]) -> ClaimNotices {
    ClaimNotices(NoticeClaim {
        owner: owner.to_owned(),
        environment: "dev".to_owned(),
        breadth,
        keep: keep.to_vec(),
        most: 100,
    })
}

const NONE: [i64; 0] = [];

impl Connection {
    async fn add_count(&mut self, add: CountAdd) -> Counted {
        self.write(AddCount(add)).await
    }

    async fn notices(
        &mut self,
        owner: &str,
        breadth: NoticeBreadth,
        keep: &[i64],
    ) -> Vec<CountNotice> {
        self.write(claim(owner, breadth, keep)).await
    }
}

impl World {
    fn counts(&self) -> Vec<String> {
        self.lines("SELECT flag || ': ' || counted || ' ' || said AS line FROM warning_window ORDER BY flag, seconds, limit_count")
    }

    async fn any(&self, breadth: NoticeBreadth) -> bool {
        let reader = self.store.reader();
        reader.any_notice("dev", &breadth).await.unwrap()
    }
}

facts! {
    async fn a_reached_limit_is_one_notice(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        assert_eq!(one.add_count(add("pay", 60)).await, Counted::Added { reached: 0 });
        assert_eq!(other.add_count(add("pay", 39)).await, Counted::Added { reached: 0 });
        assert_eq!(one.add_count(add("pay", 1)).await, Counted::Added { reached: 1 });
        assert_eq!(other.add_count(add("pay", 5_000)).await, Counted::Added { reached: 0 });
        assert_eq!(world.counts(), ["pay: 5100 1"]);
        let notices = one.notices(ME, NoticeBreadth::All, &[]).await;
        assert_eq!(notices.len(), 1);
        let notice = &notices[0];
        assert_eq!((notice.flag.as_str(), notice.seconds, notice.limit_count, notice.counted), ("pay", 60, 100, 100));
        assert_eq!((notice.host.as_str(), notice.partition_name.as_str()), ("here", "script1"));
        let messages: Vec<String> = serde_json::from_str(&notice.messages).unwrap();
        assert_eq!(messages, ["60 拒绝 \"x\" 0 s ago", "39 拒绝 \"x\" 0 s ago", "1 拒绝 \"x\" 0 s ago"]);
        assert!((now_ms() - notice.started_ms).abs() < 60_000, "{}", notice.started_ms);
    }

    async fn names_environments_and_periods_are_counted_apart_by_their_bytes(world) {
        let mut writer = world.writer().await;
        let five = Period { limit: 100, seconds: 5 };
        let fewer = Period { limit: 99, seconds: 60 };
        for flag in ["pay", "pay ", "Pay", "pay\t", "付款", "pây"] {
            assert_eq!(writer.add_count(add(flag, 99)).await, Counted::Added { reached: 0 }, "{flag:?}");
        }
        writer.add_count(add_of("test", "pay", &[MINUTE], &[(0, 99)])).await;
        assert_eq!(world.line("SELECT COUNT(*) AS line FROM warning_window"), "7");
        // Each of the periods of one warning is judged by itself.
        let both = add_of("dev", "pay", &[five, fewer, MINUTE], &[(0, 1)]);
        assert_eq!(writer.add_count(both).await, Counted::Added { reached: 1 });
        assert_eq!(world.line("SELECT COUNT(*) AS line FROM warning_window"), "9");
    }

    async fn what_is_written_late_is_counted_at_its_time(world) {
        let mut writer = world.writer().await;
        // An hour of an outage, 40 each half minute: never a hundred within a minute.
        let outage: Vec<(u64, i64)> = (0..120).rev().map(|n| (30 * n + 5, 40)).collect();
        assert_eq!(writer.add_count(add_of("dev", "slow", &[MINUTE], &outage)).await, Counted::Added { reached: 0 });
        // And a minute of it that was too much.
        let burst: Vec<(u64, i64)> = (0..60).rev().map(|n| (60 * n + 5, if n == 30 { 150 } else { 40 })).collect();
        assert_eq!(writer.add_count(add_of("dev", "burst", &[MINUTE], &burst)).await, Counted::Added { reached: 1 });
        // Another daemon's counts of that time, written behind them.
        let mut other = world.writer().await;
        assert_eq!(other.add_count(add_of("dev", "burst", &[MINUTE], &[(30 * 60 + 1, 500)])).await, Counted::Added { reached: 0 });
        assert_eq!(other.add_count(add_of("dev", "burst", &[MINUTE], &[(20 * 60 + 1, 60)])).await, Counted::Added { reached: 1 });
    }

    async fn hundreds_of_limits_in_one_flush_are_all_counted(world) {
        let mut writer = world.writer().await;
        let all = |count| (0..700).map(|n| AddCount(add(&format!("flag {n}"), count))).collect::<Vec<_>>();
        for _ in 0..2 {
            let counted = writer.all(all(30)).await;
            assert!(counted.iter().all(|it| *it == Counted::Added { reached: 0 }));
        }
        let counted = writer.all(all(40)).await;
        assert!(counted.iter().all(|it| *it == Counted::Added { reached: 1 }));
        assert_eq!(world.line("SELECT COUNT(*) AS line FROM warning_notice"), "700");
        assert_eq!(world.line("SELECT SUM(counted) AS line FROM warning_window"), "70000");
    }

    async fn concurrent_writers_lose_no_count(world) {
        const WRITERS: i64 = 4;
        const ROUNDS: i64 = 25;
        let writers = (0..WRITERS).map(|n| {
            let world = Rc::clone(&world);
            async move {
                let mut writer = world.writer().await;
                let mut reached = 0;
                for round in 0..ROUNDS {
                    // In an order of each one's own.
                    let mut flags = ["a", "b", "c", "d"];
                    flags.rotate_left(usize::try_from((n + round) % 4).unwrap());
                    let mut left = flags.to_vec();
                    while !left.is_empty() {
                        let adds = left.iter().map(|flag| AddCount(add(flag, 1))).collect();
                        let counted = writer.all(adds).await;
                        let mut held = Vec::new();
                        for (flag, counted) in left.into_iter().zip(counted) {
                            match counted {
                                Counted::Held => held.push(flag),
                                Counted::Added { reached: limits } => reached += limits,
                            }
                        }
                        left = held;
                        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..3))).await;
                    }
                }
                reached
            }
        });
        let reached: usize = futures_util::future::join_all(writers).await.into_iter().sum();
        assert_eq!(reached, 4);
        assert_eq!(world.counts(), ["a: 100 1", "b: 100 1", "c: 100 1", "d: 100 1"]);
    }

    async fn a_flag_that_is_refused_fails_alone(world) {
        world.refuse_flag();
        let mut writer = world.writer().await;
        let batch: Vec<Write> = ["a", "bad", "b"].iter().map(|flag| AddCount(add(flag, 1)).into()).collect();
        let applied = writer.0.apply(batch.into()).await;
        assert!(applied.away.is_none(), "{:?}", applied.away);
        let answers = applied.answers();
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert!(matches!(answers[1], Err(crate::store::DbError::Refused(_))), "{:?}", answers[1]);
        assert_eq!(world.counts(), ["a: 1 0", "b: 1 0"]);
    }

    async fn a_notice_belongs_to_one_daemon(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.begin(OTHER).await;
        assert!(!world.any(NoticeBreadth::All).await);
        writer.add_count(add("pay", 100)).await;
        writer.add_count(add_of("test", "pay", &[MINUTE], &[(0, 100)])).await;
        assert!(world.any(NoticeBreadth::All).await);
        let mine = writer.notices(ME, NoticeBreadth::All, &[]).await;
        assert_eq!(mine.len(), 1, "that of the other environment stays");
        let id = mine[0].id;
        assert!(writer.notices(OTHER, NoticeBreadth::All, &[]).await.is_empty());
        assert!(!world.any(NoticeBreadth::All).await);
        // What an answer was lost about comes again, what is kept does not.
        assert_eq!(writer.notices(ME, NoticeBreadth::All, &[]).await, mine);
        assert!(writer.notices(ME, NoticeBreadth::All, &[id]).await.is_empty());
        let count = || world.line("SELECT COUNT(*) AS line FROM warning_notice");
        let end = |owner: &str| EndNotices { owner: owner.to_owned(), ids: vec![id] };
        assert_eq!(writer.write(end(OTHER)).await, NONE);
        assert_eq!(count(), "2", "it is not theirs");
        writer.write(EndBoot { owner: ME.to_owned() }).await;
        assert_eq!(writer.notices(OTHER, NoticeBreadth::All, &[]).await.len(), 1, "released");
        assert_eq!(writer.write(end(ME)).await, NONE);
        assert_eq!(count(), "2", "a stale owner's");
        assert_eq!(writer.write(end(OTHER)).await, NONE);
        assert_eq!(world.line("SELECT environment AS line FROM warning_notice"), "test");
    }

    async fn the_notices_of_a_dead_boot_are_released(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.begin(OTHER).await;
        writer.add_count(add("pay", 100)).await;
        assert_eq!(writer.notices(OTHER, NoticeBreadth::All, &[]).await.len(), 1);
        world.silence(OTHER, 60_000);
        writer.write(ReapSilent { me: ME.to_owned(), as_of_ms: now_ms() }).await;
        assert_eq!(writer.notices(ME, NoticeBreadth::All, &[]).await.len(), 1);
        // And what a boot took that was judged before.
        (world.execute)(&format!("UPDATE warning_notice SET owner = '{OTHER}'"));
        writer.write(ReapSilent { me: ME.to_owned(), as_of_ms: now_ms() }).await;
        assert_eq!(writer.notices(ME, NoticeBreadth::All, &[]).await.len(), 1);
    }

    async fn a_daemon_without_receivers_takes_only_its_own_notices(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.begin(OTHER).await;
        writer.add_count(add("pay", 100)).await;
        let of = |partition: &str| NoticeBreadth::OfPartition(partition.to_owned());
        assert!(!world.any(of("script1")).await, "it is young");
        assert!(writer.notices(ME, of("script1"), &[]).await.is_empty());
        let age = |table: &str, column: &str, owner: &str| {
            let six_minutes = 6 * 60_000;
            (world.execute)(&format!("UPDATE {table} SET {column} = {column} - {six_minutes} WHERE owner = '{owner}'"));
        };
        age("warning_notice", "created_ms", "");
        assert!(!world.any(of("script2")).await);
        assert!(world.any(of("script1")).await);
        assert!(writer.notices(ME, of("script2"), &[]).await.is_empty());
        let sends = |environment: &str| SendNotices { owner: OTHER.to_owned(), environment: environment.to_owned() };
        writer.write(sends("dev")).await;
        writer.write(sends("dev")).await;
        assert!(!world.any(of("script1")).await);
        assert!(writer.notices(ME, of("script1"), &[]).await.is_empty());
        // One that has ended may be back soon; then it sends nothing any more.
        writer.write(EndBoot { owner: OTHER.to_owned() }).await;
        assert!(!world.any(of("script1")).await);
        assert!(writer.notices(ME, of("script1"), &[]).await.is_empty());
        age("boot", "heartbeat_ms", OTHER);
        assert!(world.any(of("script1")).await);
        assert_eq!(writer.notices(ME, of("script1"), &[]).await.len(), 1);
    }

    async fn windows_and_notices_are_deleted_a_day_after_their_time(world) {
        let day = 24 * 3_600_000_i64;
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        for flag in ["old", "young", "long"] {
            writer.add_count(add(flag, 100)).await;
        }
        let ended = now_ms() - day - 60_000;
        (world.execute)(&format!("UPDATE warning_window SET ends_ms = {ended} WHERE flag <> 'young'"));
        (world.execute)("UPDATE warning_window SET seconds = 86400 WHERE flag = 'long'");
        (world.execute)("UPDATE warning_window SET seconds = 1 WHERE flag = 'old'");
        (world.execute)(&format!("UPDATE warning_notice SET created_ms = {ended} WHERE flag = 'old'"));
        (world.execute)("INSERT INTO warning_sender (owner, environment) VALUES ('gone/boot', 'dev')");
        writer.write(SendNotices { owner: ME.to_owned(), environment: "dev".to_owned() }).await;
        assert_eq!(writer.write(TrimWindows).await, 1);
        assert_eq!(writer.write(TrimNotices).await, 1);
        assert_eq!(world.lines("SELECT flag AS line FROM warning_window ORDER BY flag"), ["long", "young"]);
        assert_eq!(world.lines("SELECT flag AS line FROM warning_notice ORDER BY flag"), ["long", "young"]);
        assert_eq!(world.lines("SELECT owner AS line FROM warning_sender"), [ME]);
    }
}

impl World {
    fn refuse_flag(&self) {
        self.refuse("flag", "INSERT", "warning_window", "NEW.flag = 'bad'");
    }
}
