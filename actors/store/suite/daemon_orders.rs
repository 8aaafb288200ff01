//! Orders that daemons carry out.

use super::*;
use crate::store::browse::{self, Next, PartitionRuns, Reach};
use crate::store::daemon_orders::{NewOrder, OpenOrder, OrderEnd, OrderKind, RunPlace, RunsAsked};
use crate::store::write::{EndOrder, GiveOrders, TakeOrder, TrimOrders};

const DEV: &str = "dev";

fn order(kind: OrderKind, uk: &str) -> NewOrder {
    NewOrder {
        environment: DEV.to_owned(),
        partition: "script1".to_owned(),
        kind,
        name: "n".to_owned(),
        entry: "e".to_owned(),
        uk: uk.to_owned(),
        params: (kind == OrderKind::Run).then(|| "p".to_owned()),
        ordered_by: "ann@web-1".to_owned(),
    }
}

/// The run of an order, claimed by a boot at that moment.
fn ordered(order: i64, uk: &str, moment: i64, owner: &str) -> Fire {
    Fire {
        order: Some(order),
        owner: owner.to_owned(),
        ..fire("e", moment, uk, true)
    }
}

impl Connection {
    async fn give(&mut self, order: NewOrder) {
        self.write(GiveOrders(vec![order])).await;
    }

    async fn claimed(&mut self, fire: Fire) -> Claim {
        self.write(ClaimFire(fire)).await
    }
}

fn take(id: i64, from: &str, owner: &str) -> TakeOrder {
    let (from, owner) = (from.to_owned(), owner.to_owned());
    TakeOrder { id, from, owner }
}

fn end(id: i64, of_owner: &str, result: &str) -> EndOrder {
    EndOrder(OrderEnd {
        id,
        of_owner: of_owner.to_owned(),
        result: result.to_owned(),
    })
}

impl World {
    async fn open_orders(&self) -> Vec<OpenOrder> {
        self.store.reader().open_orders(DEV).await.unwrap()
    }

    fn audited(&self) -> Vec<String> {
        self.lines(
            "SELECT action || ' ' || target || ': ' || result AS line FROM audit ORDER BY id",
        )
    }
}

facts! {
    async fn results_of_runs_are_kept_where_they_are_logged(world) {
        let mut writer = world.writer().await;
        writer.claimed(fire("e", 1000, "logged", true)).await;
        writer.claimed(fire("e", 2000, "unlogged", false)).await;
        let results = async || {
            let uks = ["logged", "unlogged", "nobody"].map(str::to_owned);
            world.store.reader().run_results(uks.to_vec()).await.unwrap().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(results().await, [("logged".to_owned(), String::new())], "it runs");
        assert!(writer.end_run("logged", "failed").await && writer.end_run("unlogged", "failed").await);
        let ended = results().await;
        assert_eq!((ended.len(), ended[0].0.as_str()), (1, "logged"));
        assert!(ended[0].1.starts_with("rrr"), "{ended:?}");
    }

    async fn an_ordered_run_is_claimed_once(world) {
        let mut writer = world.writer().await;
        writer.give(order(OrderKind::Run, "u")).await;
        let [open] = &world.open_orders().await[..] else { panic!("one order") };
        assert_eq!((open.name.as_str(), open.uk.as_str(), open.params.as_deref()), ("n", "u", Some("p")));
        assert!(open.is_free() && (-1000..60_000).contains(&open.age_ms), "{open:?}");
        let id = open.id;
        assert_eq!(writer.claimed(ordered(id, "u", 1001, ME)).await, Claim::Ours);
        assert_eq!(writer.claimed(ordered(id, "u", 2002, OTHER)).await, Claim::Others, "by another daemon, later");
        assert_eq!(writer.claimed(ordered(id, "u", 3003, ME)).await, Claim::Ours, "its answer was lost");
        assert_eq!(world.lines("SELECT scheduled_ms AS line FROM cron_run"), ["1001"]);
        assert!(world.open_orders().await.is_empty());
        assert_eq!(world.audited(), ["run cron `n`: ordered", "run cron `n`: run u"]);
        assert!(!writer.write(end(id, "", "expired")).await, "it has ended");
        let orders = world.store.reader().run_orders(vec!["u".to_owned()]).await.unwrap();
        assert_eq!((orders.len(), orders[0].is_waiting, orders[0].ordered_by.as_str()), (1, false, "ann@web-1"));
    }

    async fn one_daemon_claims_an_ordered_run(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        for round in 0..10 {
            let uk = format!("u{round}");
            one.give(order(OrderKind::Run, &uk)).await;
            let id = world.open_orders().await[0].id;
            let moment = 1001 + round;
            let claims = tokio::join!(
                one.claimed(ordered(id, &uk, moment, ME)),
                other.claimed(ordered(id, &uk, moment + 100, OTHER))
            );
            let ours = [claims.0, claims.1].into_iter().filter(|claim| *claim == Claim::Ours);
            assert_eq!(ours.count(), 1, "{claims:?}");
        }
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run").len(), 10);
    }

    async fn an_ordered_run_whose_moment_is_taken_waits_on(world) {
        let mut writer = world.writer().await;
        writer.claimed(fire("e", 1001, "other", false)).await;
        writer.give(order(OrderKind::Run, "u")).await;
        let id = world.open_orders().await[0].id;
        assert_eq!(writer.claimed(ordered(id, "u", 1001, ME)).await, Claim::Others);
        assert_eq!(world.open_orders().await.len(), 1);
        assert_eq!(writer.claimed(ordered(id, "u", 1002, ME)).await, Claim::Ours);
    }

    async fn an_ordered_run_that_is_skipped_ends_its_order(world) {
        let mut writer = world.writer().await;
        writer.claimed(fire("e", 1000, "first", true)).await;
        writer.give(order(OrderKind::Run, "u")).await;
        let id = world.open_orders().await[0].id;
        let skipping = Fire { at_overlap: skip(), ..ordered(id, "u", 2001, ME) };
        assert_eq!(writer.claimed(skipping).await, Claim::Skipped);
        assert!(world.open_orders().await.is_empty());
        assert_eq!(world.audited()[1], "run cron `n`: run u is skipped: an earlier run of this entry still runs");
    }

    async fn one_daemon_takes_the_end_of_a_run(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.claimed(fire("e", 1000, "u", true)).await;
        writer.give(order(OrderKind::End, "u")).await;
        let id = world.open_orders().await[0].id;
        assert!(writer.write(take(id, "", ME)).await);
        assert!(!writer.write(take(id, "", OTHER)).await, "it is taken");
        let open = world.store.reader().open_runs("script1").await.unwrap();
        assert!(open[0].ending && !open[0].replaced);
        assert!(!world.open_orders().await[0].is_free());
        writer.write(EndBoot { owner: ME.to_owned() }).await;
        assert!(world.open_orders().await[0].is_free(), "its daemon is dead");
        assert!(writer.write(take(id, ME, OTHER)).await);
        assert!(!writer.write(end(id, ME, "late")).await, "it is another's");
        assert!(writer.write(end(id, OTHER, "it has ended: killed")).await);
        assert!(!writer.write(end(id, OTHER, "again")).await);
        assert_eq!(world.audited(), ["end run u of cron `n`: ordered", "end run u of cron `n`: it has ended: killed"]);
    }

    async fn a_run_ended_by_order_is_no_bad_end(world) {
        let mut writer = world.writer().await;
        for (uk, at) in [("u", 1000), ("v", 2000)] {
            writer.claimed(fire("e", at, uk, true)).await;
        }
        writer.give(order(OrderKind::End, "u")).await;
        let id = world.open_orders().await[0].id;
        assert!(writer.write(take(id, "", ME)).await);
        for uk in ["u", "v"] {
            let end = RunEnd {
                uk: uk.to_owned(), status: "killed".to_owned(), result: "r".to_owned(), pid: 7, ended_ms: now_ms(), only_of: None,
            };
            writer.write(EndRun(end)).await;
        }
        let ended = world.store.reader().ended_runs("script1", vec!["e".to_owned()]).await.unwrap();
        let statuses: Vec<&str> = ended[0].1.iter().map(|run| run.status.as_str()).collect();
        assert_eq!(statuses, ["killed", "ended by order"]);
        assert_eq!(world.lines("SELECT status AS line FROM crontab_log"), ["killed", "killed"]);
        assert_eq!(world.store.reader().cron_run("u").await.unwrap().unwrap().status, "killed");
    }

    async fn a_check_order_stays_for_every_daemon(world) {
        let mut writer = world.writer().await;
        writer.give(order(OrderKind::Check, "")).await;
        let id = world.open_orders().await[0].id;
        assert!(writer.write(end(id, "", "done")).await);
        assert_eq!(world.open_orders().await.len(), 1);
        (world.execute)("UPDATE daemon_order SET ordered_ms = ordered_ms - 60000");
        assert!(world.open_orders().await.is_empty());
        let trim = |before_ms| TrimOrders { before_ms };
        assert_eq!(writer.write(trim(now_ms() - 60_000)).await, 0, "it has just ended");
        assert_eq!(writer.write(trim(now_ms() + 60_000)).await, 1);
    }

    async fn an_ordered_run_is_no_last_fire(world) {
        let mut writer = world.writer().await;
        let entries = || vec![KnownEntry {
            entry: "e".to_owned(), former: Vec::new(), name: "n".to_owned(), expression: "@every 90s".to_owned(),
        }];
        let sync = || SyncEntries { partition: "script1".to_owned(), entries: entries() };
        let since = async |writer: &mut Connection| writer.write(sync()).await[0];
        since(&mut writer).await;
        (world.execute)("UPDATE cron_entry SET live_since_ms = 500");
        for (moment, uk) in [(3000, "fire"), (4001, "ordered")] {
            writer.claimed(fire("e", moment, uk, false)).await;
        }
        assert_eq!(since(&mut writer).await, 3000);
        (world.execute)("UPDATE cron_run SET state = 3, started_ms = 1");
        writer.write(TrimRuns { before_ms: 10 }).await;
        assert!(world.lines("SELECT uk AS line FROM cron_run").is_empty());
        assert_eq!(since(&mut writer).await, 3000, "what was deleted has left its second");
    }

    async fn runs_are_listed_the_newest_first_by_name(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO cron_entry (partition_name, entry, name, expression, live) VALUES ('script1', 'former', 'n', 'x', 0)");
        for (entry, at, uk) in [("e", 1000, "a"), ("f", 2000, "b"), ("former", 3000, "c"), ("e", 4001, "d")] {
            writer.claimed(fire(entry, at, uk, false)).await;
        }
        let asked = |of: Option<&str>, limit| RunsAsked {
            partition: "script1".to_owned(),
            of: of.map(|name| (name.to_owned(), vec!["e".to_owned()])),
            before: RunPlace::START,
            limit,
        };
        let reader = world.store.reader();
        let listed = async |asked| {
            let runs = reader.cron_runs(asked).await.unwrap();
            runs.into_iter().map(|run| run.uk).collect::<String>()
        };
        assert_eq!(listed(asked(Some("n"), 9)).await, "dca");
        assert_eq!(listed(asked(Some("n"), 2)).await, "dc");
        let second = reader.cron_run("c").await.unwrap().unwrap();
        let behind = RunPlace { scheduled_ms: second.scheduled_ms, run: second.id, order: 0 };
        assert_eq!(listed(RunsAsked { before: behind, ..asked(Some("n"), 9) }).await, "a");
        let run = reader.cron_run("d").await.unwrap().unwrap();
        assert_eq!((run.status.as_str(), run.ended_ms, run.is_ordered()), ("starting", None, true));
        assert_eq!(reader.cron_run("x").await.unwrap(), None);
        writer.give(order(OrderKind::Run, "u")).await;
        let unmade = reader.unmade_runs(DEV, asked(Some("n"), 9)).await.unwrap();
        let behind = RunPlace { order: unmade[0].id, ..RunPlace::START };
        let asked_behind = RunsAsked { before: behind, ..asked(Some("n"), 9) };
        assert!(reader.unmade_runs(DEV, asked_behind).await.unwrap().is_empty());
        assert_eq!((unmade.len(), unmade[0].uk.as_str(), unmade[0].is_waiting), (1, "u", true));
        let of_other = reader.unmade_runs(DEV, asked(Some("m"), 9)).await.unwrap();
        assert!(of_other.is_empty());
    }

    async fn runs_of_a_partition_are_found_in_steps(world) {
        (world.execute)(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms) VALUES
             ('script1', 'e', 1000, 'a', 'n', 'o', '', 3, 'success', 1), ('script2', 'e', 1000, 'b', 'n', 'o', '', 3, 'success', 1),
             ('script2', 'e', 2000, 'c', 'n', 'o', '', 3, 'success', 1), ('script1', 'e', 2000, 'd', 'n', 'o', '', 3, 'success', 1),
             ('script2', 'e', 3000, 'f', 'n', 'o', '', 3, 'success', 1), ('script1', 'f', 3000, 'g', 'n', 'o', '', 1, '', 1)",
        );
        let reader = world.store.reader();
        let page = async |partition: &str, before, reach| {
            let asked = PartitionRuns { partition: partition.to_owned(), before };
            let page = browse::runs(reader.as_ref(), asked, reach).await.unwrap();
            (page.rows.iter().map(|run| run.uk.as_str()).collect::<String>(), page.next)
        };
        let whole = |page| Reach { page, step: 2, time: std::time::Duration::MAX };
        assert_eq!(page("script1", i64::MAX, whole(9)).await, ("gda".to_owned(), Next::End));
        let (first, next) = page("script1", i64::MAX, whole(2)).await;
        let Next::More(place) = next else { panic!("{next:?}") };
        assert_eq!(first, "gd");
        assert_eq!(page("script1", place, whole(2)).await, ("a".to_owned(), Next::End));
        let one_step = Reach { page: 9, step: 2, time: std::time::Duration::ZERO };
        let (first, next) = page("script2", i64::MAX, one_step).await;
        assert!(first == "f" && matches!(next, Next::Unknown(_)), "{first} {next:?}");
        assert_eq!(page("nobody", i64::MAX, whole(9)).await, (String::new(), Next::End));
    }
}
