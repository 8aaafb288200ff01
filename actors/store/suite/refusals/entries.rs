//! Entries of the crontab that a database refuses, or has to shorten.

use super::*;

facts! {
    async fn a_refused_entry_blocks_no_other(world) {
        let mut writer = world.writer().await;
        world.refuse("entry", "INSERT", "cron_entry", "NEW.entry = 'bad'");
        let begun = now_ms();
        let first = writer.sync(&["a", "bad", "c"]).await;
        assert!(first.iter().all(|since| *since >= begun));
        let live = "SELECT entry AS line FROM cron_entry WHERE live = 1 ORDER BY entry";
        assert_eq!(world.lines(live), ["a", "c"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let again = writer.sync(&["a", "bad", "c"]).await;
        assert_eq!((again[0], again[2]), (first[0], first[2]), "they are known");
        assert!(again[1] > first[1], "it fires from now on");
    }

    async fn entries_with_long_names_and_expressions_are_known(world) {
        let mut writer = world.writer().await;
        let entry = |key: &str, text: String| KnownEntry {
            former: Vec::new(),
        entry: key.to_owned(),
            name: text.clone(),
            expression: text,
        };
        let entries = vec![entry("a", "测".repeat(321)), entry("b", "0 * * * * *".to_owned())];
        for _ in 0..2 {
            let sync = SyncEntries { partition: "script1".to_owned(), entries: entries.clone() };
            let since = writer.write(sync).await;
            assert_eq!(since.len(), 2);
        }
    }
}
