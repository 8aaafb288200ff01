//! Many dead boots, and what is left of them.

use super::*;

impl World {
    /// Writes boots that ended this long ago.
    fn dead_boots(&self, boots: usize, ago_ms: i64) {
        let at = now_ms() - ago_ms;
        let rows: Vec<String> = (0..boots)
            .map(|n| {
                format!(
                    "('gone/{ago_ms}-{n}', 'gone', 'h', 1, {}, {at}, {at}, 5000)",
                    2 + n % 2
                )
            })
            .collect();
        for portion in rows.chunks(5000) {
            let values = portion.join(",");
            (self.execute)(&format!(
                "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms) VALUES {values}"
            ));
        }
    }
}

const AN_HOUR_MS: i64 = 3_600_000;
/// More than MySQL takes values in one statement.
const MANY: usize = 70_000;
/// A query that reads each of them takes a second and more for each round.
const ROUNDS: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(3);

facts! {
    async fn living_daemons_say_their_version(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        // As a daemon of a release without the column writes its row.
        let now = now_ms();
        (world.execute)(&format!(
            "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms)
             VALUES ('{OTHER}', 'script2', 'h', 2, 1, {now}, {now}, 60000)"
        ));
        let alive = world.store.reader().alive_boots().await.unwrap();
        let version = |owner: &str| alive.iter().find(|boot| boot.owner == owner).unwrap().version.clone();
        assert_eq!((version(ME).as_deref(), version(OTHER)), (Some("0.1.0"), None));
    }

    async fn rows_of_a_dead_boot_are_found_among_many_dead_ones(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        world.dead_boots(MANY, AN_HOUR_MS);
        writer.push(tasks(3)).await;
        writer.send(vec![message(b"x"), message(b"y"), message(b"z")]).await;
        // One of a dead boot, one of a boot that nobody remembers, one of a boot that lives.
        let owners = [format!("gone/{AN_HOUR_MS}-7"), "gone/forgotten".to_owned(), ME.to_owned()];
        for owner in &owners {
            assert_eq!((writer.claim(owner, 1).await.len(), writer.fetch(owner, 1).await.len()), (1, 1));
        }
        let begun = std::time::Instant::now();
        for _ in 0..ROUNDS {
            writer.reap_silent().await;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        println!("{}: {:?} a round", world.name, begun.elapsed() / ROUNDS);
        for table in ["delay_queue_log", "queue_message"] {
            let owned = world.lines(&format!("SELECT owner AS line FROM {table} WHERE owner <> ''"));
            assert_eq!(owned, [ME], "{table}");
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM boot"), (MANY + 1).to_string());
    }

    async fn boots_that_ended_long_ago_are_trimmed_while_others_live(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        world.dead_boots(600, 8 * 24 * AN_HOUR_MS);
        world.dead_boots(10, 6 * 24 * AN_HOUR_MS);
        (world.execute)("INSERT INTO death (kind, source, message_id, attempts, deaths, due_ms, died_ms) VALUES ('redis', 's', 'm', 1, 1, 0, 1)");
        writer.reap_silent().await;
        assert_eq!(world.line("SELECT count(*) AS line FROM boot"), "111", "a portion");
        writer.reap_silent().await;
        assert_eq!(world.line("SELECT count(*) AS line FROM boot"), "11");
        assert_eq!(world.line("SELECT count(*) AS line FROM death"), "0");
    }
}
