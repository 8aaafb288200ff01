//! Orders on the pages of tasks and dead letters: one, those ticked, all, at a rate.

use std::sync::Arc;

use actix_web::http::header::LOCATION;

use super::*;
use crate::http::page::tests::{ask, order};

/// The note of an order, on the page that it leads to.
async fn ordered(config: &Arc<HttpConfig>, uri: &str, form: &[(&str, &str)]) -> String {
    let shown = ask(config, order(uri, form)).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{}", shown.text);
    let to = shown.header(LOCATION).to_owned();
    // Each request of these tests has a place of its own, and so no answers of the one before.
    to
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
async fn dead_letters_are_ordered_singly_ticked_or_all() {
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
