//! Orders of the page that no other test presses, in a real browser, and what each changes.
//!
//! All of them: a queue's pause, resume and LagCheck, a run now, its end and a cron entry's pause (`page.rs`); orders about
//! tasks and dead letters, ticked, of their own pages and all that match, with rate and stop (`rows.rs`); and here the pause
//! and resume of the delay queue and of a cron entry, the end of everything's pause, a run that is taken back, and the replay of
//! one dead letter on its page. Each is a `POST` of `page/mod.rs`.

use fantoccini::Locator;
use serde_json::json;

use super::page::{devtools, press};
use super::settings;
use super::visited::Visited;
use crate::wait::{PATIENCE, now_s, wait_until};
use crate::world::World;

/// A daemon with the queue `work`, and the entry `ticks`, which fires each second.
fn world() -> World {
    let mut settings = settings(json!({}));
    settings["delayed"] = json!({ "ledger": { "max_attempts": 1 } });
    let world = World::new(settings);
    let entry = json!({
        "cron": "* * * * * *", "name": "ticks", "exec_cmd": "ledger", "params": "tick", "status": 1,
    });
    world.partition("script1", &World::table_queue(), &json!([entry]));
    world
}

/// None where there is no browser.
fn visited() -> Option<Visited> {
    Visited::of(world())
}

impl Visited {
    /// Presses that button on that page, and returns the page's sentence.
    fn press(&self, path: &str, button: &str) -> String {
        let url = format!("{}{path}", self.origin);
        self.browser.run(async |page| {
            page.goto(&url).await?;
            press(page, button).await
        })
    }

    /// Pauses that hold, of that kind.
    fn pauses(&self, kind: &str) -> i64 {
        self.world.database().number(&format!(
            "SELECT COUNT(*) FROM pause WHERE until_ms IS NULL AND kind = '{kind}'"
        ))
    }

    /// The page of the cron entry.
    fn entry(&self) -> String {
        let cron = format!("{}/cron", self.origin);
        let link = self.browser.run(async |page| {
            page.goto(&cron).await?;
            let link = page.find(Locator::LinkText("ticks")).await?;
            link.attr("href").await
        });
        link.unwrap()
    }

    fn ran(&self, body: &str) -> usize {
        self.world.ledger().of_body(body).len()
    }
}

#[test]
fn the_delay_queue_rests_and_goes_on_by_its_buttons() {
    let Some(mut visited) = visited() else {
        return;
    };
    let said = visited.press("/delay", "Pause");
    assert!(said.starts_with("Paused: the delay queue"), "{said}");
    assert_eq!(visited.pauses("delay"), 1);
    visited.daemon.wait_log("the delay queue is paused");
    visited.world.insert_tasks(&[("due".to_owned(), now_s())]);
    // A delay queue that went on would have started it with the second fire behind it at the latest.
    let fires = visited.ran("tick");
    wait_until("two fires behind the task", PATIENCE, || {
        visited.ran("tick") > fires + 1
    });
    assert_eq!(visited.ran("due"), 0);
    let said = visited.press("/delay", "Resume");
    assert!(said.starts_with("Resumed: the delay queue"), "{said}");
    assert_eq!(visited.pauses("delay"), 0);
    wait_until("the task", PATIENCE, || visited.ran("due") == 1);
    visited.daemon.stop();
}

#[test]
fn a_cron_entry_rests_and_goes_on_by_the_buttons_of_its_page() {
    let Some(mut visited) = visited() else {
        return;
    };
    let entry = visited.entry();
    let said = visited.press(&entry, "Pause");
    assert!(said.starts_with("Paused: cron `ticks`"), "{said}");
    assert_eq!(visited.pauses("cron"), 1);
    visited.daemon.wait_log("cron `ticks` is paused");
    // The pause is listed as soon as it is ordered; the button beside it comes when the daemon has read that order.
    let url = format!("{}{entry}", visited.origin);
    let (listed, said) = visited.browser.run(async |page| {
        page.goto(&url).await?;
        let button = "//section[@aria-labelledby='pauses']//button[.='Resume']";
        let button = page.wait().for_element(Locator::XPath(button)).await?;
        let clear = "document.getElementById('flash').replaceChildren()";
        page.execute(clear, Vec::new()).await?;
        let listed = page
            .find(Locator::Css("section[aria-labelledby=pauses]"))
            .await?;
        let listed = listed.text().await?;
        button.click().await?;
        let note = page
            .wait()
            .for_element(Locator::Css("#flash .note"))
            .await?;
        Ok((listed, note.text().await?))
    });
    assert!(
        listed.contains("still paused") && listed.contains("127.0.0.1"),
        "{listed}"
    );
    assert!(said.starts_with("Resumed: cron `ticks`"), "{said}");
    assert_eq!(visited.pauses("cron"), 0);
    let fires = visited.ran("tick");
    wait_until("the next fire", PATIENCE, || visited.ran("tick") > fires);
    visited.daemon.stop();
}

#[test]
fn what_rests_with_everything_goes_on_by_the_button_of_its_own_page() {
    let Some(mut visited) = visited() else {
        return;
    };
    visited.world.output(&["pause"]);
    visited.daemon.wait_log("everything is paused");
    let said = visited.press("/queue?name=work", "Resume everything");
    assert!(said.starts_with("Resumed: everything"), "{said}");
    assert_eq!(visited.pauses("all"), 0);
    visited.daemon.wait_log("everything is resumed");
    visited.daemon.stop();
}

#[test]
fn a_run_that_no_daemon_has_begun_is_taken_back_by_its_button() {
    let Some(visited) = visited() else {
        return;
    };
    // Of a partition without a daemon: it waits.
    let mut database = visited.world.database();
    database.execute(&format!(
        "INSERT INTO daemon_order (environment, partition_name, kind, name, entry, uk, ordered_by, ordered_ms, state)
         VALUES ('dev', 'script2', 'run', 'report', 'k', 'waits', 'ann', {}, 1)",
        now_s() * 1000
    ));
    let said = visited.press("/run?id=waits", "End the run");
    assert_eq!(said, "Run waits is taken back: it had not begun.");
    let ended = database.texts("SELECT result FROM daemon_order WHERE uk = 'waits' AND state = 3");
    assert_eq!(ended, ["taken back by order of 127.0.0.1"]);
    let runs = database.number("SELECT COUNT(*) FROM cron_run WHERE uk = 'waits'");
    assert_eq!(runs, 0);
    visited.daemon.stop();
}

#[test]
fn one_dead_letter_runs_again_by_the_button_of_its_page() {
    let Some(visited) = visited() else {
        return;
    };
    let mut database = visited.world.database();
    database.execute(&format!(
        "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
         VALUES ('queue', 'work', 'work', 'ledger', '1', CAST('again' AS BLOB), 'e', 1, 'script1', 1, {})",
        now_s() * 1000
    ));
    let said = visited.press("/letter?id=1", "Replay");
    assert!(said.contains("1 run again"), "{said}");
    wait_until("the message", PATIENCE, || visited.ran("again") == 1);
    assert_eq!(database.number("SELECT COUNT(*) FROM dead_letter"), 0);
    visited.daemon.stop();
}

#[test]
fn a_time_in_a_filter_is_meant_in_the_zone_of_the_browser() {
    let Some(visited) = visited() else {
        return;
    };
    let dead = format!("{}/dead", visited.origin);
    let zone = visited.browser.run(async |page| {
        let zone = json!({ "timezoneId": "Asia/Shanghai" });
        devtools(page, "Emulation.setTimezoneOverride", zone).await?;
        page.goto(&dead).await?;
        let search = "const form = document.querySelector('.filters form');
            form.querySelector('[name=since]').value = '2026-01-31 09:30';
            form.requestSubmit()";
        page.execute(search, Vec::new()).await?;
        let found = page
            .wait()
            .for_element(Locator::Css("input[name=zone][value='480']"));
        found.await?;
        let url = page.current_url().await?;
        let zone = url.query_pairs().find(|(key, _)| key == "zone");
        Ok(zone.map(|(_, zone)| zone.into_owned()))
    });
    assert_eq!(zone.as_deref(), Some("480"));
    visited.daemon.stop();
}
