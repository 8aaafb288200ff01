//! The pauses of a cron entry on its page, where they are listed, and what ends them; and what is near a moment that was not due.

use super::{Shown, get};
use crate::clock::now_ms;
use crate::config::HttpSettings;
use crate::http::tests::config;
use crate::state::view::PauseView;
use crate::testing_support::TestDb;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The last but one midnight, at which the entry was due.
fn fire() -> i64 {
    (now_ms() / DAY_MS - 1) * DAY_MS
}

/// Rows of `audit` with the ids 1, 2, …
fn ordered(db: &TestDb, orders: &[(i64, &str, &str)]) {
    for (at_ms, action, target) in orders {
        db.sql(&format!(
            "INSERT INTO audit (environment, at_ms, ordered_by, action, target, result)
             VALUES ('dev', {at_ms}, 'ann', '{action}', '{target}', 'done')"
        ));
    }
}

fn part<'a>(shown: &'a Shown, heading: &str) -> &'a str {
    let (_, part) = shown.text.split_once(heading).unwrap();
    part.split("</section>").next().unwrap()
}

/// As a field of a form has a moment, in a query.
fn at(ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(ms).unwrap();
    at.format("%Y-%m-%dT%H%%3A%M").to_string()
}

#[actix_rt::test]
async fn a_paused_entry_offers_to_resume() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let fire = fire();
    ordered(
        &db,
        &[
            (fire - 9_000_000, "pause", "cron `report`"),
            (fire - 8_000_000, "resume", "cron `report`"),
            (fire - 7_000_000, "pause", "cron `other`"),
            (fire - 6_000_000, "pause", "everything"),
        ],
    );
    config.state.pauses.lock().push(PauseView {
        what: "everything".to_owned(),
        since_ms: fire - 6_000_000,
        ordered_by: "ann".to_owned(),
    });
    let shown = get(&config, "/cron/entry?key=k1").await;
    let pauses = part(&shown, "<h2 id=\"pauses\">");
    assert_eq!(pauses.matches("<tr><td").count(), 2, "{pauses}");
    for text in [
        "/audit?before=2#audit-1",
        "/audit?before=3#audit-2",
        "/audit?before=5#audit-4",
        "still paused",
        "Resume everything",
        "name=\"kind\" value=\"all\"",
    ] {
        assert!(pauses.contains(text), "{text}: {pauses}");
    }
    assert!(!pauses.contains("audit-3"), "of another entry: {pauses}");
    assert!(shown.text.contains("paused with everything else, by ann"));

    // The answer leads to the same row, and has the button while the pause holds.
    let asked = format!("/cron/entry?key=k1&zone=0&at={}", at(fire));
    let shown = get(&config, &asked).await;
    let answer = part(&shown, "id=\"answer\"");
    for text in [
        "ann had paused everything",
        "/audit?before=5#audit-4",
        "Resume everything",
    ] {
        assert!(answer.contains(text), "{text}: {answer}");
    }
    config.state.pauses.lock().clear();
    let shown = get(&config, &asked).await;
    let answer = part(&shown, "id=\"answer\"");
    assert!(
        answer.contains("had paused") && !answer.contains("<button"),
        "{answer}"
    );
}

#[actix_rt::test]
async fn a_minute_beside_a_fire_leads_to_the_fires_around_it() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let fire = fire();
    let shown = get(
        &config,
        &format!("/cron/entry?key=k1&zone=0&at={}", at(fire + 60_000)),
    )
    .await;
    let answer = part(&shown, "id=\"answer\"");
    assert!(answer.contains("It was not due then."), "{answer}");
    for near in [fire, fire + DAY_MS] {
        let link = format!("/cron/entry?key=k1&#38;at={}&#38;zone=0#why", at(near));
        assert!(answer.contains(&link), "{link}: {answer}");
    }
    let shown = get(
        &config,
        &format!("/cron/entry?key=k1&zone=0&at={}", at(fire)),
    )
    .await;
    let answer = part(&shown, "id=\"answer\"");
    assert!(!answer.contains("not due"), "{answer}");
}
