//! Boots without a heartbeat are judged dead, and their claims are released.

use super::*;
use crate::store::rows::Beat;

facts! {
    async fn a_boot_is_dead_after_three_missed_heartbeats(world) {
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

    async fn a_boot_as_late_as_its_judge_is_spared(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        world.silence(OTHER, 16_000);
        // The judge's own heartbeat is as old: both wait for the same server.
        let (me, as_of_ms) = (ME.to_owned(), now_ms() - 16_000);
        assert_eq!(writer.write(ReapSilent { me, as_of_ms }).await, Reaped::default());
        let beat = writer.0.heartbeat(&boot(ME)).await.unwrap();
        assert!((beat.at_ms - now_ms()).abs() < 5_000, "{beat:?}");
    }

    async fn a_boot_with_a_future_heartbeat_is_judged(world) {
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

    async fn late_claims_of_a_dead_boot_are_released(world) {
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
}
