//! The pages about single rows: what they show of hostile tasks and dead letters, and what their orders do to the
//! tables.

mod ordering;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use bytes::Bytes;

use super::super::visit::query;
use super::{HOSTILE, Shown, get};
use crate::clock::now_ms;
use crate::config::HttpSettings;
use crate::http::HttpConfig;
use crate::http::tests::config;
use crate::store::rows::{DeadLetterFilter, EntryName, NewDeadLetter, NewTask};
use crate::store::write::{InsertDeadLetters, InsertTasks};
use crate::testing_support::TestDb;

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

fn says(shown: &Shown, text: &str) {
    assert!(shown.text.contains(text), "{text}: {}", shown.text);
}

#[actix_rt::test]
async fn contents_of_rows_are_bounded_text() {
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
    assert_eq!(shown.header(CONTENT_TYPE), "application/octet-stream");
    let name = format!("attachment; filename=\"dead-letter-{id}.bin\"");
    assert_eq!(shown.header(CONTENT_DISPOSITION), name);
    let sniffing = shown
        .headers
        .get_all("x-content-type-options")
        .collect::<Vec<_>>();
    assert_eq!(sniffing, ["nosniff"]);
    let shown = get(&config, "/letter/payload?id=999").await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
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
