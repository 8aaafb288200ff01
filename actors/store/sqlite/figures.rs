//! What a write and a question cost on SQLite, without the sync of a commit:
//! `cargo test --release --lib store::sqlite::figures -- --ignored --nocapture`, on a machine that does nothing else.

use std::time::Instant;

use bytes::Bytes;

use super::SqliteStore;
use crate::job::Disposition;
use crate::store::rows::{EntryName, MessageEnd, NewMessage};
use crate::store::traits::{Store, Writer};
use crate::store::write::{ClaimMessages, EndMessages, InsertMessages, Most, Write, Written};

/// Messages of one transaction: many, so that its sync weighs little.
const MESSAGES: u32 = 5_000;
const ROUNDS: usize = 12;

async fn one(writer: &mut Box<dyn Writer>, write: Write) -> Written {
    let mut answers = writer.apply([write].into()).await.answers();
    answers.remove(0).unwrap()
}

fn print(what: &str, mut microseconds: Vec<f64>) {
    microseconds.sort_by(f64::total_cmp);
    println!(
        "{what}: {:.2} us at the median, {:.2} us at least",
        microseconds[microseconds.len() / 2],
        microseconds[0]
    );
}

#[actix::test]
#[ignore = "a measurement, for a machine that does nothing else"]
async fn messages_and_questions_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(dir.path().join("test.db"));
    store.migrate().unwrap();
    let mut writer = store.writer().await.unwrap();
    let reader = store.reader();
    let (mut inserts, mut claims, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let mut lags = Vec::new();
    for _ in 0..ROUNDS {
        let each = |begun: Instant| begun.elapsed().as_secs_f64() * 1e6 / f64::from(MESSAGES);
        let row = |n: u32| NewMessage {
            payload: Bytes::from(format!("payload {n:0100}")),
            key: None,
            headers: Vec::new(),
        };
        let insert = InsertMessages {
            queue: "q".to_owned(),
            rows: (0..MESSAGES).map(row).collect(),
        };
        let begun = Instant::now();
        one(&mut writer, insert.into()).await;
        inserts.push(each(begun));

        let begun = Instant::now();
        for _ in 0..20 {
            let lag = reader.queue_lags(vec![("q".to_owned(), 100)]).await;
            assert_eq!(lag.unwrap(), [100]);
        }
        lags.push(begun.elapsed().as_secs_f64() * 1e6 / 20.0);

        let claim = ClaimMessages {
            queue: "q".to_owned(),
            owner: "me".to_owned(),
            most: Most {
                count: MESSAGES,
                bytes: u32::MAX,
            },
        };
        let begun = Instant::now();
        let Written::ClaimMessages(claimed) = one(&mut writer, claim.into()).await else {
            panic!("not the answer to a claim");
        };
        claims.push(each(begun));
        assert_eq!(claimed.len(), MESSAGES as usize);

        let end = |message: &crate::store::rows::ClaimedMessage| MessageEnd {
            id: message.id,
            fence: message.fence,
            entry: EntryName {
                name: "n".to_owned(),
                exec_cmd: "c".to_owned(),
            }
            .into(),
            disposition: Disposition::Complete,
        };
        let end = EndMessages {
            owner: "me".to_owned(),
            ends: claimed.iter().map(end).collect(),
        };
        let begun = Instant::now();
        one(&mut writer, end.into()).await;
        ends.push(each(begun));
    }
    print("insert of a message", inserts);
    print("claim of a message", claims);
    print("end of a message", ends);
    print("question for a lag", lags);
}
