//! Limits of rates.

use super::*;
use crate::store::permits::{Granted, PermitAsk};
use crate::store::write::TakePermits;

fn ask(name: &str, interval_ms: i64, permits: u32) -> TakePermits {
    TakePermits(PermitAsk {
        name: name.to_owned(),
        shown: "订单".to_owned(),
        interval_ns: interval_ms * 1_000_000,
        permits,
    })
}

facts! {
    async fn permits_are_handed_out_once_and_the_next_ones_later(world) {
        let mut writer = world.writer().await;
        let hour = || ask("a", 3_600_000, 1);
        assert_eq!(writer.write(hour()).await, Granted::Permits(1));
        let Granted::Wait(wait) = writer.write(hour()).await else { panic!("none is left") };
        assert!((3_500..=3_600).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(writer.write(ask("b", 3_600_000, 1)).await, Granted::Permits(1), "another limit");
        (world.execute)("UPDATE rate_limit SET free_us = 0 WHERE name = 'a'");
        assert_eq!(writer.write(hour()).await, Granted::Permits(1));
    }

    async fn one_of_two_takes_the_last_permit(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        for round in 0..20 {
            let name = format!("r{round}");
            let hour = || ask(&name, 3_600_000, 1);
            let (first, second) = tokio::join!(one.write(hour()), other.write(hour()));
            let permits = [first, second].into_iter().filter(|granted| matches!(granted, Granted::Permits(_)));
            assert_eq!(permits.count(), 1, "{round}: {first:?} {second:?}");
        }
    }

    async fn nobody_waits_for_a_locked_limit(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        one.write(ask("a", 1, 1)).await;
        for _ in 0..20 {
            let (first, second) = tokio::join!(one.write(ask("a", 1, 1)), other.write(ask("a", 1, 1)));
            for granted in [first, second] {
                if let Granted::Wait(wait) = granted {
                    assert!(wait <= Duration::from_millis(10), "{wait:?}");
                }
            }
        }
    }
}
