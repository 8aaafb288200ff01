//! From what is wrong, and from a queue, to the very dead letters.

use super::{HOSTILE, Shown, get};
use crate::config::HttpSettings;
use crate::http::tests::{config, config_with};
use crate::store::dead_letter::KIND_TABLE;
use crate::store::rows::{EntryName, NewDeadLetter};
use crate::store::write::InsertDeadLetters;
use crate::testing_support::TestDb;

use bytes::Bytes;

async fn die(db: &TestDb, kind: &'static str, source: &str, error: &str) {
    let dead_letter = NewDeadLetter {
        kind,
        source: source.to_owned(),
        entry: EntryName {
            name: source.to_owned(),
            exec_cmd: "c".to_owned(),
        },
        original_id: "1".to_owned(),
        payload: Bytes::from_static(b"{}"),
        key: None,
        headers: Vec::new(),
        error: error.to_owned(),
        attempts: 5,
        partition: "script1".to_owned(),
        first_ms: 7,
    };
    let dead_letters = vec![dead_letter];
    let insert = InsertDeadLetters { dead_letters };
    db.db.write(insert).await.unwrap();
}

/// The addresses of links that have this in them, as a browser follows them.
fn links(shown: &Shown, part: &str) -> Vec<String> {
    let links = shown.text.split("href=\"").skip(1);
    let links = links.map(|link| link.split('"').next().unwrap().replace("&#38;", "&"));
    links.filter(|link| link.contains(part)).collect()
}

#[actix_rt::test]
async fn what_is_wrong_leads_to_the_dead_letters_of_each_queue() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    for error in ["timeout", "refused", "refused"] {
        die(&db, KIND_TABLE, "queue 0", error).await;
    }
    die(&db, "redis", HOSTILE, "gone").await;
    let sources = config.db.reader().dead_letter_sources().await.unwrap();
    *config.state.dead_letters_of.lock() = Some(sources);
    let shown = get(&config, "/").await;
    assert!(!shown.text.contains("<script>"), "{}", shown.text);
    let (_, wrong) = shown.text.split_once("<ul class=\"troubles\">").unwrap();
    let wrong = wrong.split("</ul>").next().unwrap();
    for trouble in wrong.split("<li>").skip(1) {
        assert!(trouble.starts_with("<p><strong><a href=\"/"), "{trouble}");
    }
    let of_sources = links(&shown, "/dead?kind=");
    assert_eq!(of_sources.len(), 2, "{of_sources:?}");
    assert_eq!(
        of_sources[0], "/dead?kind=queue&source=queue+0",
        "the most first"
    );
    assert!(wrong.contains("queue 0</a> 3"), "{wrong}");
    let shown = get(&config, &of_sources[0]).await;
    assert_eq!(shown.text.matches("<tr id=\"letter-").count(), 3);
    let shown = get(&config, &of_sources[1]).await;
    assert_eq!(shown.text.matches("<tr id=\"letter-").count(), 1);
}

#[actix_rt::test]
async fn a_queue_leads_to_its_dead_letters() {
    let db = TestDb::start();
    let config = config_with(&db, HOSTILE);
    let name = super::super::visit::query(&[("name", HOSTILE)]);
    let queue = format!("/queue{name}");
    *config.state.dead_letters_of.lock() = Some(Vec::new());
    let shown = get(&config, &queue).await;
    assert!(shown.text.contains("No dead letters came from this queue."));
    for n in 1..=7 {
        die(&db, KIND_TABLE, HOSTILE, &format!("error {n}")).await;
        die(&db, "redis", HOSTILE, "of another list").await;
    }
    let sources = config.db.reader().dead_letter_sources().await.unwrap();
    *config.state.dead_letters_of.lock() = Some(sources);
    let shown = get(&config, &queue).await;
    let (_, dead) = shown.text.split_once("<h2 id=\"dead\">").unwrap();
    assert!(dead.contains("<span class=\"amount\">7</span>"), "{dead}");
    assert_eq!(links(&shown, "/letter?id=").len(), 5);
    assert!(
        dead.contains("error 7") && !dead.contains("error 2<"),
        "{dead}"
    );
    assert!(
        !dead.contains("of another list") && !dead.contains("<script>"),
        "{dead}"
    );
    // Failures lead to their own dead letters.
    let mut all = links(&shown, "/dead?kind=queue");
    all.retain(|link| !link.contains("&id="));
    let shown = get(&config, &all[0]).await;
    assert_eq!(shown.text.matches("<tr id=\"letter-").count(), 7);
    // What the order of all that match would mean, beside all there are.
    assert!(shown.text.contains("<span class=\"amount\">7 of 14</span>"));
}
