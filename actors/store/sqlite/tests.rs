//! What is SQLite's own: the plans of its claims, and what it does with a full disk and a held file.

use std::path::Path;

use bytes::Bytes;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::common::{questions, task_orders};
use super::connection::Connection;
use super::{SqliteStore, connect, lags, messages, tasks, writer};
use crate::job::Disposition;
use crate::store::DbError;
use crate::store::rows::{AtOverlap, Claim, ClaimedTask, Fire, NewMessage, TaskEnd};
use crate::store::task_orders::TaskStatus;
use crate::store::traits::Store;
use crate::store::write::{
    ClaimFire, ClaimTasks, EndTasks, InsertMessages, Most, RunStarted, Settlement, Write, Written,
};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn database(path: &Path) -> Connection {
    SqliteStore::new(path.to_owned()).migrate().unwrap();
    Connection::new(connect::open(path).unwrap())
}

fn plan(connection: &mut Connection, statement: &str) -> String {
    let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}"))
        .load(&mut connection.inner)
        .unwrap();
    let details: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    details.join("\n")
}

#[test]
fn claims_walk_their_index_and_stop_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    let claims = [
        (tasks::CLAIM, "idx_status_exectime"),
        (tasks::NEVER_DUE, "idx_status_exectime"),
        (messages::CLAIM, "idx_queue_message_claim"),
        (tasks::LENGTHS, "idx_status_exectime"),
        (messages::LENGTHS, "idx_queue_message_claim"),
    ];
    for (statement, index) in claims {
        let plan = plan(&mut connection, statement);
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "nothing is sorted: {plan}");
    }
}

#[test]
fn what_is_asked_again_and_again_is_answered_from_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    let lag = lags::LAG.join("'', 'script1/a', 'script2/b'");
    let waiting = questions::waiting_tasks(10);
    let asked = [
        (
            lag.as_str(),
            "COVERING INDEX idx_queue_message_claim (owner=? AND queue=?)",
        ),
        (
            "SELECT id FROM queue_message WHERE owner = '' AND queue = 'q' AND due_ms <= 9 LIMIT 1",
            "COVERING INDEX idx_queue_message_claim (owner=? AND queue=? AND due_ms<?)",
        ),
        (
            "SELECT due_ms FROM queue_message WHERE owner = '' AND queue = 'q' ORDER BY due_ms LIMIT 1",
            "COVERING INDEX idx_queue_message_claim (owner=? AND queue=?)",
        ),
        (&waiting, "COVERING INDEX idx_status_exectime (status=?)"),
        (
            "SELECT exec_time, due_ms FROM delay_queue_log WHERE status = 1 ORDER BY exec_time, id LIMIT 1",
            "INDEX idx_status_exectime (status=?)",
        ),
    ];
    for (question, index) in asked {
        let plan = plan(&mut connection, question);
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "nothing is sorted: {plan}");
    }
}

/// As with ten million rows: what a person asks goes no further than it must.
#[test]
fn names_are_searched_for_among_the_first_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    let (soonest, latest) = (
        task_orders::in_order(TaskStatus::Waiting, 9),
        task_orders::in_order(TaskStatus::Failed, 9),
    );
    for (question, index) in [
        (
            soonest.as_str(),
            "SEARCH delay_queue_log USING INDEX idx_status_exectime (status=?)",
        ),
        (
            latest.as_str(),
            "SEARCH delay_queue_log USING INDEX idx_status_exectime (status=?)",
        ),
        (
            "SELECT error FROM dead_letter WHERE id > 9",
            "SEARCH dead_letter USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        // It is left at the offset.
        (
            "SELECT id FROM dead_letter ORDER BY id DESC LIMIT 1 OFFSET 9",
            "SCAN dead_letter",
        ),
        (
            "SELECT id FROM audit WHERE at_ms < 9 ORDER BY at_ms LIMIT 9",
            "SEARCH audit USING COVERING INDEX idx_audit_at (at_ms<?)",
        ),
    ] {
        let plan = plan(&mut connection, question);
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "nothing is sorted: {plan}");
    }
}

#[test]
fn releases_walk_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    for statement in [
        "SELECT id, fence FROM delay_queue_log WHERE status = 2 AND owner = 'x' ORDER BY id",
        "SELECT id FROM delay_queue_log WHERE status = 2 AND owner IN ('x', 'y') ORDER BY id",
        "SELECT id, fence FROM queue_message WHERE owner = 'x' AND queue = 'q' ORDER BY id",
        "SELECT id FROM queue_message WHERE owner IN ('x', 'y') ORDER BY id",
        "SELECT owner FROM boot WHERE state = 1 AND owner <> 'x' AND heartbeat_ms < interval_ms * -3 + 9 ORDER BY owner",
        "SELECT * FROM crontab_log WHERE uk = 'x' AND status = 'running'",
        "SELECT * FROM cron_run WHERE uk = 'x' AND state < 3",
    ] {
        let plan = plan(&mut connection, statement);
        assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{plan}");
    }
}

#[test]
fn cron_walks_open_runs_and_old_ones_not_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    let questions = [
        (
            "SELECT EXISTS (SELECT 1 FROM cron_run WHERE partition_name = 'x' AND state IN (1, 2) AND entry = 'e' AND scheduled_ms <> 9)",
            "idx_cron_run_open (partition_name=? AND state=? AND entry=?)",
        ),
        (
            "SELECT uk FROM cron_run WHERE partition_name = 'x' AND state < 3",
            "idx_cron_run_open (partition_name=? AND state<?)",
        ),
        (
            "SELECT id FROM cron_run WHERE state = 3 AND started_ms < 9 LIMIT 500",
            "idx_cron_run_state (state=? AND started_ms<?)",
        ),
    ];
    for (question, index) in questions {
        let plan = plan(&mut connection, question);
        assert!(plan.contains(index), "{plan}");
    }
}

fn large_write() -> Write {
    let row = NewMessage {
        payload: Bytes::from(vec![7; 1 << 20]),
        key: None,
        headers: Vec::new(),
    };
    InsertMessages {
        queue: "q".to_owned(),
        rows: vec![row],
    }
    .into()
}

#[test]
fn a_full_disk_is_an_outage_and_refuses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let mut connection = database(&path);
    connection
        .batch_execute("PRAGMA max_page_count = 60")
        .unwrap();
    for batch in [vec![large_write()], vec![large_write(), large_write()]] {
        let applied = writer::apply(&mut connection, &batch);
        assert!(applied.is_untried(), "{:?}", applied.outcomes);
        assert!(
            matches!(applied.away, Some(DbError::Away(_))),
            "{:?}",
            applied.away
        );
        connection = Connection::new(connect::open(&path).unwrap());
        connection
            .batch_execute("PRAGMA max_page_count = 60")
            .unwrap();
    }
    let mut connection = Connection::new(connect::open(&path).unwrap());
    let applied = writer::apply(&mut connection, &[large_write()]);
    assert!(applied.away.is_none() && applied.answers()[0].is_ok());
}

#[test]
fn a_file_that_somebody_holds_is_an_outage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let mut connection = database(&path);
    connection.batch_execute("PRAGMA busy_timeout = 1").unwrap();
    let mut other = connect::open(&path).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let applied = writer::apply(&mut connection, &[large_write()]);
    assert!(applied.is_untried());
    assert!(
        matches!(applied.away, Some(DbError::Away(_))),
        "{:?}",
        applied.away
    );
    other.batch_execute("ROLLBACK").unwrap();
    let applied = writer::apply(&mut connection, &[large_write()]);
    assert!(
        applied.away.is_none() && applied.answers()[0].is_ok(),
        "on the same connection"
    );
}

/// Another program may put what it likes into a text column of SQLite.
#[test]
fn bytes_and_numbers_in_a_text_column_are_read_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = database(&dir.path().join("test.db"));
    connection
        .batch_execute(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
             VALUES ('n', 'c', X'41', 1, 1), ('n', 'c', 'good', 1, 1), ('n', 'c', 12.5, 1, 1)",
        )
        .unwrap();
    let claim = ClaimTasks {
        owner: "script1/a".to_owned(),
        from_s: None,
        until_s: 9,
        most: Most {
            count: 9,
            bytes: u32::MAX,
        },
    };
    let applied = writer::apply(&mut connection, &[claim.into()]);
    let answers = applied.answers();
    let Ok(Written::ClaimTasks(claimed)) = &answers[0] else {
        panic!("{answers:?}");
    };
    assert_eq!(claimed.tasks.len(), 3);
    let failed = |task: &ClaimedTask| TaskEnd {
        id: task.id,
        fence: task.fence,
        exec_cmd: "c".to_owned(),
        disposition: Disposition::DeadLetter {
            error: String::new(),
            attempts: 1,
        },
        result: String::new(),
    };
    let ends = EndTasks {
        owner: "script1/a".to_owned(),
        ends: claimed.tasks.iter().map(failed).collect(),
    };
    let applied = writer::apply(&mut connection, &[ends.into()]);
    assert!(
        matches!(&applied.answers()[0], Ok(Written::EndTasks(settlement)) if *settlement == Settlement::default())
    );
}

#[actix::test]
async fn a_claim_of_a_fire_leaves_the_checkpoint_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let store = SqliteStore::new(path.clone());
    store.migrate().unwrap();
    let mut writer = store.writer().await.unwrap();
    let empty = std::fs::metadata(&path).unwrap().len();
    for n in 0..400 {
        let claim = ClaimFire(Fire {
            partition: "script1".to_owned(),
            entry: "e".to_owned(),
            scheduled_ms: n,
            uk: n.to_string(),
            name: "n".to_owned(),
            exec_cmd: "c".to_owned(),
            params: String::new(),
            owner: "me".to_owned(),
            machine: "{}".to_owned(),
            timeout_ms: 0,
            is_log: true,
            at_overlap: AtOverlap::Allow,
            expired: None,
            given_up: crate::store::rows::GivenUp::default(),
            order: None,
        });
        let answers = writer.apply([claim.into()].into()).await.answers();
        assert!(matches!(answers[0], Ok(Written::ClaimFire(Claim::Ours))));
    }
    let log = dir.path().join("test.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 1000 * 4096);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), empty);
    let started = RunStarted {
        uk: "1".to_owned(),
        pid: 7,
        start_ticks: None,
    };
    writer.apply([started.into()].into()).await;
    assert!(std::fs::metadata(&path).unwrap().len() > empty);
}

#[test]
fn a_connection_makes_no_file_whatever_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("50% of it, what? #1 ü.db");
    let opened = connect::open(&path).map(drop);
    assert!(matches!(opened, Err(DbError::Open { .. })), "{opened:?}");
    assert!(!path.exists());
    database(&path);
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [path.file_name().unwrap()]);
}
