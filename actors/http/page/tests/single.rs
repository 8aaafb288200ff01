//! The pages about single rows: what they show of hostile tasks and dead letters, and what their orders do to the
//! tables.

use bytes::Bytes;

use super::super::visit::query;
use super::{HOSTILE, Shown, ask, get, order};
use crate::clock::now_ms;
use crate::config::HttpSettings;
use crate::http::HttpConfig;
use crate::http::tests::config;
use crate::store::rows::{DeadLetterFilter, EntryName, NewDeadLetter, NewTask};
use crate::store::write::{InsertDeadLetters, InsertTasks};
use crate::testing_support::TestDb;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};

fn dead_letter(name: &str, payload: &[u8], error: &str) -> NewDeadLetter {
    NewDeadLetter {
        kind: "redis",
        source: name.to_owned(),
        entry: EntryName {
            name: name.to_owned(),
            exec_cmd: name.to_owned(),
        },
        original_id: HOSTILE.to_owned(),
        payload: Bytes::copy_from_slice(payload),
        key: Some(Bytes::from_static(b"\xff<script>")),
        headers: vec![(HOSTILE.to_owned(), Bytes::from_static(b"<script>\0"))],
        error: error.to_owned(),
        attempts: 5,
        partition: "script1".to_owned(),
        first_ms: 7,
    }
}

fn task(name: &str, params: &str, due_ms: i64) -> NewTask {
    NewTask {
        name: name.to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms,
        claimed: false,
        trace: None,
    }
}

async fn insert(db: &TestDb, dead_letters: Vec<NewDeadLetter>) {
    let insert = InsertDeadLetters { dead_letters };
    db.db.write(insert).await.unwrap();
}

async fn push(db: &TestDb, tasks: Vec<NewTask>) -> Vec<i64> {
    let insert = InsertTasks {
        rows: tasks,
        owner: "script1/b".to_owned(),
    };
    db.db.write(insert).await.unwrap()
}

/// The ids of all dead letters, the oldest first.
async fn dead_letters(config: &HttpConfig) -> Vec<i64> {
    let reader = config.db.reader();
    let dead_letters = reader
        .dead_letters(DeadLetterFilter::default(), 100)
        .await
        .unwrap();
    let mut ids: Vec<i64> = dead_letters
        .iter()
        .map(|dead_letter| dead_letter.id)
        .collect();
    ids.sort_unstable();
    ids
}

/// The note of an order, on the page that it leads to.
async fn ordered(config: &Arc<HttpConfig>, uri: &str, form: &[(&str, &str)]) -> String {
    let shown = ask(config, order(uri, form)).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{}", shown.text);
    let to = shown
        .headers
        .get(LOCATION)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    // Each request of these tests has a place of its own, and so no answers of the one before.
    to
}

fn says(shown: &Shown, text: &str) {
    assert!(shown.text.contains(text), "{text}: {}", shown.text);
}

#[actix_rt::test]
async fn whatever_a_task_or_a_dead_letter_holds_is_text_and_bounded() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let later = now_ms() + 3_600_000;
    let id = push(&db, vec![task(HOSTILE, HOSTILE, later)]).await[0];
    let megabyte = HOSTILE.repeat((1 << 20) / HOSTILE.len());
    let rows = vec![
        dead_letter(HOSTILE, HOSTILE.as_bytes(), HOSTILE),
        dead_letter("q", b"\xff\x00\xfe<script>", "\u{202e}<script>\n7"),
        dead_letter("q", megabyte.as_bytes(), &"<script>".repeat(100)),
        dead_letter("q", br#"{"<script>":["</code>",1e400]}"#, ""),
    ];
    insert(&db, rows).await;
    let ids = dead_letters(&config).await;
    let mut uris = vec![
        "/delay".to_owned(),
        format!("/delay{}", query(&[("q", HOSTILE)])),
        format!(
            "/delay{}",
            query(&[
                ("name", HOSTILE),
                ("cmd", HOSTILE),
                ("status", HOSTILE),
                ("after", HOSTILE)
            ])
        ),
        format!("/task?id={id}"),
        format!("/task?id={id}&as=hex"),
        format!("/task{}", query(&[("id", HOSTILE)])),
        "/dead".to_owned(),
        format!(
            "/dead{}",
            query(&[("error", "script"), ("payload", HOSTILE)])
        ),
        format!("/dead{}", query(&[("since", HOSTILE)])),
        format!("/dead{}", query(&[("kind", HOSTILE), ("group", HOSTILE)])),
        format!(
            "/dead/confirm{}",
            query(&[("do", "purge"), ("error", HOSTILE)])
        ),
        format!("/letter{}", query(&[("id", HOSTILE)])),
        "/audit".to_owned(),
        format!(
            "/audit{}",
            query(&[("who", HOSTILE), ("action", HOSTILE), ("q", HOSTILE)])
        ),
    ];
    for dead_letter in &ids {
        for form in ["text", "json", "hex", HOSTILE] {
            uris.push(format!(
                "/letter{}",
                query(&[("id", &dead_letter.to_string()), ("as", form)])
            ));
        }
    }
    for uri in uris {
        let shown = get(&config, &uri).await;
        assert_ne!(shown.status, StatusCode::INTERNAL_SERVER_ERROR, "{uri}");
        for hostile in ["<script>", "alert('", "</code>\"", "\u{202e}"] {
            // The error of a dead letter keeps its characters, in a block of its own.
            let is_error = hostile == "\u{202e}" && uri.starts_with("/letter");
            assert!(
                is_error || !shown.text.contains(hostile),
                "{uri}: {hostile}: {}",
                shown.text
            );
        }
        assert!(shown.text.len() < 200_000, "{uri}: {}", shown.text.len());
    }
    let shown = get(&config, &format!("/letter?id={}", ids[1])).await;
    says(&shown, "ff 00 fe 3c 73");
    says(&shown, "0xff3c736372697074");
    let shown = get(&config, &format!("/letter?id={}", ids[2])).await;
    says(&shown, "of 1023 KiB shown");
    let shown = get(&config, &format!("/letter?id={}", ids[3])).await;
    says(&shown, "1e400");
    let shown = get(&config, "/letter?id=999").await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
}

#[actix_rt::test]
async fn a_payload_is_a_file_to_keep_and_no_page() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    insert(&db, vec![dead_letter("q", HOSTILE.as_bytes(), "e")]).await;
    let id = dead_letters(&config).await[0];
    let shown = get(&config, &format!("/letter/payload?id={id}")).await;
    assert_eq!(
        (shown.status, shown.text.as_str()),
        (StatusCode::OK, HOSTILE)
    );
    let header = |name| {
        shown
            .headers
            .get(name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(header(CONTENT_TYPE), "application/octet-stream");
    let name = format!("attachment; filename=\"dead-letter-{id}.bin\"");
    assert_eq!(header(CONTENT_DISPOSITION), name);
    let sniffing = shown
        .headers
        .get_all("x-content-type-options")
        .collect::<Vec<_>>();
    assert_eq!(sniffing, ["nosniff"]);
    let shown = get(&config, "/letter/payload?id=999").await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
}

#[actix_rt::test]
async fn tasks_are_found_and_ordered() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let later = now_ms() + 3_600_000;
    let ids = push(
        &db,
        (0..60)
            .map(|n| task("n", &format!("order {n}."), later))
            .collect(),
    )
    .await;
    let shown = get(&config, "/delay").await;
    says(&shown, "order 0.");
    assert!(!shown.text.contains("order 50."), "on the next page");
    let next = shown.text.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    says(&get(&config, &next).await, "order 50.");
    let shown = get(&config, "/delay?q=ORDER+17.").await;
    assert!(shown.text.contains("order 17.") && !shown.text.contains("order 18."));
    let last = ids[59].to_string();
    let shown = get(&config, &format!("/delay?q={last}")).await;
    says(&shown, "The task of that id:");

    let (one, two) = (ids[0].to_string(), ids[1].to_string());
    let form = |what| {
        vec![
            ("do", what),
            ("id", one.as_str()),
            ("id", two.as_str()),
            ("back", "/delay"),
        ]
    };
    let to = ordered(&config, "/task/order", &form("run")).await;
    assert!(to.starts_with("/delay?answer="), "{to}");
    let rows = |ids: Vec<i64>| async { config.db.reader().task_rows(ids).await.unwrap() };
    let due = rows(ids[..2].to_vec()).await;
    assert!(due.iter().all(|row| row.due_ms <= now_ms()), "{due:?}");
    ordered(
        &config,
        "/task/order",
        &[&form("later")[..], &[("in", "2h")]].concat(),
    )
    .await;
    let due = rows(ids[..2].to_vec()).await;
    assert!(due.iter().all(|row| row.due_ms > later), "{due:?}");
    ordered(&config, "/task/order", &form("cancel")).await;
    let due = rows(ids[..2].to_vec()).await;
    assert!(due.iter().all(|row| row.status == 4), "{due:?}");
    let shown = get(&config, &format!("/task?id={one}")).await;
    for text in [
        "Failed or cancelled",
        "cancelled by",
        "It left no dead letter",
        "cancel</td>",
        "run</td>",
    ] {
        says(&shown, text);
    }
    says(
        &get(&config, "/audit?action=cancel").await,
        &format!("delayed task {one}"),
    );
    let shown = get(&config, "/audit?who=nobody").await;
    says(&shown, "Nothing matches");
    let shown = get(&config, "/delay?status=failed").await;
    assert!(shown.text.contains("order 0.") && !shown.text.contains("order 2."));
}

#[actix_rt::test]
async fn dead_letters_are_grouped_filtered_and_ordered_one_ticked_or_all() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let rows = (0..6).map(|n| dead_letter("q", b"{}", &format!("no order {n}")));
    let others = (0..4).map(|n| dead_letter("other", b"x", &format!("timed out {n}")));
    insert(&db, rows.chain(others).collect()).await;
    let ids = dead_letters(&config).await;
    let shown = get(&config, "/dead").await;
    for text in [
        "no order #",
        "timed out #",
        "queue `q` (`q`)",
        "6 in the last 24 hours",
    ] {
        says(&shown, text);
    }
    let group = shown
        .text
        .split("group=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let shown = get(&config, &format!("/dead?group={group}")).await;
    assert!(shown.text.contains("no order 5") && !shown.text.contains("timed out"));

    let named = ids[9].to_string();
    ordered(&config, "/letter/order", &[("do", "purge"), ("id", &named)]).await;
    assert_eq!(dead_letters(&config).await, ids[..9]);
    let (one, two) = (ids[8].to_string(), ids[7].to_string());
    ordered(
        &config,
        "/letter/order",
        &[("do", "purge"), ("id", &one), ("id", &two)],
    )
    .await;
    assert_eq!(dead_letters(&config).await, ids[..7]);
    // No entry is configured here: a dead letter that cannot run stays.
    ordered(
        &config,
        "/letter/order",
        &[("do", "replay"), ("id", &ids[0].to_string())],
    )
    .await;
    assert_eq!(dead_letters(&config).await.len(), 7);
    let job = config.dead_letters.list().remove(0);
    assert!(
        job.watch.done().reasons[0]
            .reason
            .contains("partition `script1`")
    );

    let confirm = get(
        &config,
        &format!("/dead/confirm?do=purge&group={group}&since=2h"),
    )
    .await;
    says(&confirm, "6 dead letters will be deleted for good");
    let form = [
        ("do", "purge"),
        ("group", group),
        ("rate", ""),
        ("back", "/dead"),
    ];
    ordered(&config, "/dead/all", &form).await;
    assert_eq!(dead_letters(&config).await, ids[6..7]);
    says(&get(&config, "/audit?action=purge").await, "6 dead letters");
    let bad = [("do", "purge"), ("since", "noon"), ("back", "/dead")];
    ordered(&config, "/dead/all", &bad).await;
    assert_eq!(
        dead_letters(&config).await,
        ids[6..7],
        "a filter that is misread means nothing"
    );
    let by_payload = [("do", "purge"), ("payload", "x"), ("back", "/dead")];
    ordered(&config, "/dead/all", &by_payload).await;
    assert_eq!(dead_letters(&config).await, ids[6..7]);
}

#[actix_rt::test]
async fn an_order_at_a_rate_is_watched_and_stopped() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let rows = (0..5).map(|n| dead_letter("q", b"{}", &format!("no order {n}")));
    insert(&db, rows.collect()).await;
    let form = [("do", "purge"), ("rate", "1/h"), ("back", "/dead")];
    ordered(&config, "/dead/all", &form).await;
    let job = config.dead_letters.list().remove(0);
    assert!(job.end().is_none());
    let first = async {
        while job.watch.done().deleted == 0 {
            tokio::task::yield_now().await;
        }
    };
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, first).await.unwrap();
    let shown = get(&config, "/dead").await;
    says(&shown, "under way");
    ordered(
        &config,
        "/dead/stop",
        &[("id", &job.id.to_string()), ("back", "/dead")],
    )
    .await;
    let (done, end) = job.wait(std::time::Duration::MAX).await.unwrap();
    assert_eq!((done.deleted, end.cause), (1, None));
    assert_eq!(dead_letters(&config).await.len(), 4);
    says(&get(&config, "/dead").await, "stopped");
}

#[actix_rt::test]
async fn empty_pages_say_what_to_type() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    for (uri, text) in [
        ("/delay", "push delay_test --params Bob"),
        ("/dead", "JobError::discard"),
        ("/audit", "queue pause NAME"),
        ("/dead?lang=zh", "没有死信"),
        ("/delay?lang=zh", "没有等待中的延时任务"),
        ("/audit?lang=zh", "还没有人做过操作"),
    ] {
        says(&get(&config, uri).await, text);
    }
}
