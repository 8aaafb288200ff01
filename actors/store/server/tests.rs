//! What is a server's own.

mod locks;
mod lost_answers;
mod plans;
mod sizes;
mod start;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::migrate::OURS;
use super::reader::ServerReader;
use super::store::ServerStore;
use super::test_server::{
    CONNECTION_ID, LIMITED, MAKE_LIMITED, TOO_LARGE, plan, plan_of_claims, servers,
};
use super::{connect, dialect, marks, task_orders};
use crate::clock::now_ms;
use crate::config::Secret;
use crate::job::Disposition;
use crate::store::DbError;
use crate::store::rows::{
    DeadLetterFilter, EntryName, MessageEnd, NewDeadLetter, NewMessage, NewTask, Replay, ReplayTo,
};
use crate::store::task_orders::TaskStatus;
use crate::store::traits::{Outcome, Store, Writer};
use crate::store::warnings::{CountAdd, CountOrigin, CountSegment, Counted, Period};
use crate::store::write::{
    AddCount, ClaimMessages, EndMessages, InsertDeadLetters, InsertMessages, InsertTasks,
    ReleaseMessages, ReplayDeadLetters, Settlement, Write, Written,
};
use crate::testing_support::{Cut, Proxy};

fn push(params: &str) -> Write {
    let row = NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms: now_ms() + 3_600_000,
        claimed: false,
        trace: None,
    };
    InsertTasks {
        rows: vec![row],
        owner: String::new(),
    }
    .into()
}

fn send(bytes: usize) -> Write {
    let row = NewMessage {
        payload: Bytes::from(vec![7; bytes]),
        key: None,
        headers: Vec::new(),
    };
    InsertMessages {
        queue: "q".to_owned(),
        rows: vec![row],
    }
    .into()
}

fn dead_letter(bytes: usize) -> NewDeadLetter {
    NewDeadLetter {
        kind: "redis",
        source: "q".to_owned(),
        entry: EntryName {
            name: "n".to_owned(),
            exec_cmd: "c".to_owned(),
        },
        original_id: "1".to_owned(),
        payload: Bytes::from(vec![7; bytes]),
        key: None,
        headers: Vec::new(),
        error: "no".to_owned(),
        attempts: 1,
        partition: "script1".to_owned(),
        first_ms: 0,
    }
}

fn store(url: &str) -> ServerStore {
    ServerStore::new(Secret::new(url), "a server".to_owned(), 4)
}

/// The writer's batch, tried until it is known what became of it. Answers the ids, and how often it was unsure.
async fn ids(writer: &mut dyn Writer, batch: &std::sync::Arc<[Write]>) -> (Vec<i64>, usize) {
    let mut unsure = 0;
    loop {
        let applied = writer.apply(std::sync::Arc::clone(batch)).await;
        if applied.away.is_none() {
            let ids = applied.answers().into_iter().map(|answer| match answer {
                Ok(Written::InsertTasks(ids)) => ids[0],
                other => panic!("{other:?}"),
            });
            return (ids.collect(), unsure);
        }
        assert!(
            applied.is_untried() && applied.is_unsure,
            "{:?}",
            applied.away
        );
        unsure += 1;
        assert!(unsure < 5, "{:?}", applied.away);
    }
}
