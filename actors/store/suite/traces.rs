//! What the tables know of one moment of a cron entry.

use super::*;
use crate::store::rows::PauseOrder;
use crate::store::traces::TracesAsked;
use crate::store::write::SetPause;

const A_MINUTE_MS: i64 = 60_000;

fn boot(owner: &str, state: i16, started_ms: i64, heartbeat_ms: i64) -> String {
    format!(
        "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms, deaths_counted) \
         VALUES ('{owner}', 'script1', '{owner}', 1, {state}, {started_ms}, {heartbeat_ms}, 5000, 0)"
    )
}

facts! {
    async fn the_traces_of_a_moment_are_those_around_it(world) {
        let mut writer = world.writer().await;
        let moment = 1_000_000_000_000;
        for (entry, at, uk) in [
            ("e", moment - 120_000, "b"), ("e", moment - 60_000, "a"), ("e", moment, "c"), ("e", moment + 59_001, "d"),
            ("e", moment + 60_000, "f"), ("e", moment + 120_000, "g"), ("other", moment, "x"),
        ] {
            writer.write(ClaimFire(fire(entry, at, uk, false))).await;
        }
        let now = now_ms();
        for row in [
            boot("long-gone", 2, moment - 900_000, moment - 800_000),
            boot("gone", 2, moment - 700_000, moment - 600_000),
            boot("ended-within", 3, moment - 500_000, moment + 1_000),
            boot("alive", 1, moment + 2_000, now),
            boot("silent", 1, moment - 1, now - 600_000),
            boot("later", 1, moment + 70_000, now),
            boot("much-later", 1, moment + 80_000, now),
        ] {
            (world.execute)(&row);
        }
        (world.execute)("INSERT INTO cron_entry (partition_name, entry, name, expression, live, live_since_ms) VALUES ('script1', 'e', 'n', 'x', 1, 77)");
        for (name, paused) in [("n", true), ("m", true), ("n", false)] {
            let order = PauseOrder {
                environment: "dev".to_owned(),
                kind: "cron",
                name: name.to_owned(),
                paused,
                ordered_by: "ann".to_owned(),
                target: format!("cron `{name}`"),
            };
            writer.write(SetPause(order)).await;
        }
        (world.execute)(&format!("UPDATE audit SET at_ms = {moment} + id"));
        let asked = |entry: &str, targets: &[&str]| TracesAsked {
            environment: "dev".to_owned(),
            partition: "script1".to_owned(),
            entry: entry.to_owned(),
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            from_ms: moment,
            until_ms: moment + A_MINUTE_MS - 1,
        };
        let reader = world.store.reader();
        let traces = reader.traces(asked("e", &["cron `n`", "everything"])).await.unwrap();
        let uks = |runs: &[crate::store::daemon_orders::CronRun]| runs.iter().map(|run| run.uk.as_str()).collect::<String>();
        assert_eq!((uks(&traces.within), uks(&traces.before)), ("cd".to_owned(), "ab".to_owned()));
        assert_eq!(traces.after.map(|run| run.uk), Some("f".to_owned()));
        assert_eq!(traces.live, Some((true, 77)));
        let boots: Vec<(&str, Option<i64>)> = traces.boots.iter().map(|boot| (boot.host.as_str(), boot.until_ms)).collect();
        let expected = [("alive", None), ("silent", Some(now - 600_000)), ("ended-within", Some(moment + 1_000))];
        assert_eq!(boots, expected);
        assert_eq!(traces.last_seen_ms, Some(moment - 600_000));
        assert_eq!(traces.next_start_ms, Some(moment + 70_000));
        let pauses: Vec<(bool, &str)> = traces.pauses.iter().map(|order| (order.pauses, order.target.as_str())).collect();
        assert_eq!(pauses, [(false, "cron `n`"), (true, "cron `n`")]);
        let none = reader.traces(asked("unknown", &[])).await.unwrap();
        assert_eq!((none.within.len(), none.before.len(), none.live, none.pauses.len()), (0, 0, None, 0));
    }
}
