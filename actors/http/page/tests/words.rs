//! One word for one thing on all pages, errors alone where something is misread, and Chinese without English words.

use bytes::Bytes;

use super::get;
use crate::config::HttpSettings;
use crate::http::tests::{config, config_of};
use crate::state::{LagSight, QueueFacts};
use crate::store::dead_letter::KIND_TABLE;
use crate::store::rows::{EntryName, NewDeadLetter};
use crate::store::write::InsertDeadLetters;
use crate::testing_support::TestDb;

async fn die(db: &TestDb, source: &str, original_id: &str) {
    let dead_letter = NewDeadLetter {
        kind: KIND_TABLE,
        source: source.to_owned(),
        entry: EntryName {
            name: source.to_owned(),
            exec_cmd: "c".to_owned(),
        },
        original_id: original_id.to_owned(),
        payload: Bytes::from_static(b"{}"),
        key: Some(Bytes::from_static(b"\xff")),
        headers: vec![("traceparent".to_owned(), Bytes::from_static(b"00-ab"))],
        error: "refused".to_owned(),
        attempts: 5,
        partition: "script1".to_owned(),
        first_ms: 7,
    };
    let insert = InsertDeadLetters {
        dead_letters: vec![dead_letter],
    };
    db.db.write(insert).await.unwrap();
}

#[actix_rt::test]
async fn a_table_is_called_so_on_every_page() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    die(&db, "queue 0", "7").await;
    for (uri, english, chinese) in [
        (
            "/queue?name=queue+0",
            "table <code>queue 0</code>",
            "表 <code>queue 0</code>",
        ),
        (
            "/letter?id=1",
            "table <code>queue 0</code>",
            "表 <code>queue 0</code>",
        ),
        (
            "/dead?kind=table",
            "selected>table</option>",
            "selected>表</option>",
        ),
        ("/dead", "<small>table <code>", "<small>表 <code>"),
        (
            "/dead/confirm?do=purge&kind=queue",
            "<dd>table</dd>",
            "<dd>表</dd>",
        ),
    ] {
        let mark = if uri.contains('?') { '&' } else { '?' };
        for (language, text) in [("en", english), ("zh", chinese)] {
            let shown = get(&config, &format!("{uri}{mark}lang={language}")).await;
            assert!(shown.text.contains(text), "{uri}: {text}: {}", shown.text);
        }
    }
}

#[actix_rt::test]
async fn a_wrong_time_is_an_error_on_the_page() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    die(&db, "queue 0", "7").await;
    for (query, said) in [
        ("since=noon", "`noon` is no time"),
        ("since=2999-01-01", "in the future"),
        ("since=1h&until=2h", "not after the beginning"),
    ] {
        let shown = get(&config, &format!("/dead?{query}")).await;
        assert!(shown.text.contains(said), "{query}: {}", shown.text);
        for other in ["Nothing matches", "id=\"letters\"", "Replay all"] {
            assert!(!shown.text.contains(other), "{query}: {other}");
        }
        let confirm = get(&config, &format!("/dead/confirm?do=purge&{query}")).await;
        assert!(confirm.text.contains(said) && !confirm.text.contains("class=\"whole\""));
    }
    // The moment that is confirmed has its date.
    let confirm = get(&config, "/dead/confirm?do=purge&since=1h").await;
    assert!(confirm.text.contains(" data-whole>20"), "{}", confirm.text);
}

#[actix_rt::test]
async fn a_failure_leads_to_its_dead_letter() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    // The queue has a failure of the message 7.
    let shown = get(&config, "/queue?name=queue+0").await;
    let link = "/dead?kind=queue&#38;source=queue+0&id=7";
    let escaped = link.replace("+0&id", "+0&#38;id");
    assert!(shown.text.contains(&escaped), "{}", shown.text);
    let found = link.replace("&#38;", "&");
    let shown = get(&config, &found).await;
    assert!(
        shown
            .text
            .contains("No dead letter came from a message or task 7.")
    );
    die(&db, "queue 0", "7").await;
    die(&db, "queue 0", "8").await;
    let another = get(&config, &format!("{found}&name=another")).await;
    assert!(
        !another.text.contains("No dead letter came from"),
        "it has one, of another name"
    );
    let shown = get(&config, &found).await;
    assert_eq!(shown.text.matches("<tr id=\"letter-").count(), 1);
    assert!(
        !shown.text.contains("Replay all that match"),
        "it would go by more"
    );
    let shown = get(&config, "/dead?id=2").await;
    assert!(
        shown.text.contains("The dead letter of that id:"),
        "{}",
        shown.text
    );
}

#[actix_rt::test]
async fn key_and_headers_are_a_download() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    die(&db, "queue 0", "7").await;
    let shown = get(&config, "/letter?id=1").await;
    assert!(
        shown
            .text
            .contains("href=\"/letter/headers?id=1\" download")
    );
    let kept = get(&config, "/letter/headers?id=1").await;
    let name = kept.headers.get("content-disposition").unwrap();
    assert_eq!(name, "attachment; filename=\"dead-letter-1-headers.json\"");
    let kept: serde_json::Value = serde_json::from_str(&kept.text).unwrap();
    let expected = serde_json::json!({
        "dead_letter": 1, "key": { "base64": "/w==" }, "headers": [["traceparent", "00-ab"]],
    });
    assert_eq!(kept, expected);
}

#[actix_rt::test]
async fn entries_that_share_a_source_say_so_beside_its_number() {
    let db = TestDb::start();
    let config = config_of(&db, 2, 3, HttpSettings::default());
    let note = "This number is that of table `queue 0`, which `queue 0`, `queue 1` share";
    let uri = "/queue?name=queue+1";
    assert!(!get(&config, uri).await.text.contains(note));
    let second = config.state.queue("queue 1").unwrap();
    second.set_facts(QueueFacts {
        source: "queue 0".to_owned(),
        ..QueueFacts::clone(&second.facts())
    });
    die(&db, "queue 0", "7").await;
    let sources = config.db.reader().dead_letter_sources().await.unwrap();
    *config.state.dead_letters_of.lock() = Some(sources);
    assert!(get(&config, uri).await.text.contains(note));
    let now = get(&config, "/").await;
    let label = "table `queue 0` (`queue 0`, `queue 1`)</a> 1";
    assert!(now.text.contains(label), "{}", now.text);
}

#[actix_rt::test]
async fn what_is_wrong_says_since_when_and_where_to_look() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    *config.state.oldest_dead_letter_ms.lock() = Some(1_795_921_200_000);
    let shown = get(&config, "/").await;
    // The queue was behind at the first LagCheck.
    let sight: LagSight = config.state.queue("queue 0").unwrap().lag_sight();
    assert!(sight.since_first_check);
    for text in [
        "at least since <time",
        "since <time datetime=\"2026-11-29T03:00:00.000Z\"",
        "/queue?name=queue+0#hour",
        "/cron/entry?key=k1#runs",
    ] {
        assert!(shown.text.contains(text), "{text}: {}", shown.text);
    }
    let queue = config.state.queue("queue 0").unwrap();
    queue.lag_checked(Some(3), false);
    queue.lag_checked(Some(11), true);
    assert!(!queue.lag_sight().since_first_check);
    let shown = get(&config, "/queue?name=queue+0").await;
    for text in [
        "<code>progress</code> 1, <code>max_progress</code> 4",
        "<code>progress_lag_limit</code> 10",
    ] {
        assert!(shown.text.contains(text), "{text}");
    }
}

#[actix_rt::test]
async fn the_audit_is_searched_in_its_shown_words() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    db.sql(
        "INSERT INTO audit (environment, at_ms, ordered_by, action, target, result)
         VALUES ('dev', 1, 'ann', 'pause', 'cron `report`', 'done')",
    );
    let shown = get(&config, "/audit?lang=zh").await;
    for text in [
        "暂停 <code>pause</code>",
        "定时任务 `report`",
        ">完成</td>",
        "title=\"cron `report`\"",
    ] {
        assert!(shown.text.contains(text), "{text}: {}", shown.text);
    }
    assert!(get(&config, "/audit").await.text.contains(">pause</td>"));
}
