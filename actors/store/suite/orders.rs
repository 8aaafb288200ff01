//! What people order.

use super::*;
use crate::store::rows::{AuditRow, PauseOrder, PauseRow};
use crate::store::write::{Audit, SetPause};

fn set(name: &str, paused: bool, ordered_by: &str) -> SetPause {
    SetPause(PauseOrder {
        environment: "release".to_owned(),
        kind: "queue",
        name: name.to_owned(),
        paused,
        ordered_by: ordered_by.to_owned(),
        target: format!("queue `{name}`"),
    })
}

impl World {
    async fn pauses(&self, environment: &str) -> Vec<PauseRow> {
        self.store.reader().pauses(environment).await.unwrap()
    }

    async fn held(&self) -> Vec<String> {
        let rows = self.pauses("release").await.into_iter();
        let held = rows.filter(|row| row.until_ms.is_none());
        held.map(|row| row.name).collect()
    }
}

facts! {
    async fn a_pause_and_its_resume_are_audited(world) {
        let mut writer = world.writer().await;
        assert!(!writer.write(set("orders", false, "ann")).await, "nothing is paused yet");
        assert!(writer.write(set("orders", true, "ann")).await);
        assert!(!writer.write(set("orders", true, "bob")).await, "it is paused already");
        let [row] = &world.pauses("release").await[..] else { panic!("one pause") };
        assert_eq!((row.kind.as_str(), row.name.as_str(), row.ordered_by.as_str()), ("queue", "orders", "ann"));
        assert_eq!(row.until_ms, None);
        let began = row.since_ms;
        assert!((now_ms() - began).abs() < 60_000, "{began}");
        assert_eq!(world.pauses("dev").await, [], "of another environment");

        assert!(writer.write(set("orders", false, "bob")).await);
        let [row] = &world.pauses("release").await[..] else { panic!("one pause that ended") };
        assert!(row.until_ms.is_some_and(|until| until >= began), "{row:?}");
        assert!(writer.write(set("orders", true, "cid")).await);
        let [row] = &world.pauses("release").await[..] else { panic!("one pause again") };
        assert_eq!((row.until_ms, row.ordered_by.as_str()), (None, "cid"));
        assert!(row.since_ms >= began);

        let written = world.lines("SELECT ordered_by || ':' || action || ':' || target || ':' || result AS line FROM audit ORDER BY id");
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        assert_eq!(written, [
            "ann:resume:queue `orders`:it was so already",
            "ann:pause:queue `orders`:done",
            "bob:pause:queue `orders`:it was so already",
            "bob:resume:queue `orders`:done",
            "cid:pause:queue `orders`:done",
        ]);
    }

    async fn a_long_order_is_cut_in_the_audit(world) {
        let mut writer = world.writer().await;
        let order = AuditRow {
            environment: "release".to_owned(),
            ordered_by: "ann".to_owned(),
            action: "reload",
            target: "ö".repeat(501),
            result: "é".repeat(600),
        };
        writer.write(Audit(order)).await;
        let written = world.lines("SELECT ordered_by || ':' || action || ':' || target || ':' || result AS line FROM audit");
        assert_eq!(written, [format!("ann:reload:{}…:{}…", "ö".repeat(499), "é".repeat(499))]);
    }

    async fn pauses_are_distinguished_by_the_bytes_of_their_names(world) {
        let mut writer = world.writer().await;
        for name in ["orders", "Orders", "örders"] {
            assert!(writer.write(set(name, true, "ann")).await, "{name}");
        }
        let mut held = world.held().await;
        held.sort_unstable();
        assert_eq!(held, ["Orders", "orders", "örders"]);
        assert!(writer.write(set("Orders", false, "ann")).await);
        let mut held = world.held().await;
        held.sort_unstable();
        assert_eq!(held, ["orders", "örders"]);
    }

    async fn one_of_two_equal_pauses_is_made(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        for round in 0..10 {
            let name = format!("q{round}");
            let (first, second) = tokio::join!(one.write(set(&name, true, "ann")), other.write(set(&name, true, "bob")));
            assert!(first != second, "{round}: {first} {second}");
        }
        assert_eq!(world.held().await.len(), 10);
    }

    async fn a_pause_that_ended_long_ago_is_not_read(world) {
        let mut writer = world.writer().await;
        assert!(writer.write(set("orders", true, "ann")).await);
        assert!(writer.write(set("orders", false, "ann")).await);
        assert_eq!(world.pauses("release").await.len(), 1);
        (world.execute)("UPDATE pause SET since_ms = 5, until_ms = 6");
        assert_eq!(world.pauses("release").await, []);
        (world.execute)("UPDATE pause SET until_ms = NULL");
        assert_eq!(world.held().await, ["orders"]);
    }
}
