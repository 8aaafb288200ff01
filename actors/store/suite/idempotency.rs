//! Idempotency keys.

use super::*;
use crate::store::idempotency::{
    CLAIM_MS, KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert, KeyedRow, KeyedRows, NewKey,
};
use crate::store::write::{ClaimKey, EndKey, InsertKeyed, TrimKeys};

/// A push of one task for each key and params; `-`: without a key.
fn push(items: &[(&str, &str)]) -> InsertKeyed {
    let key = |(key, params): &(&str, &str)| {
        let content = [("params", params.as_bytes())];
        (*key != "-").then(|| NewKey::new(key, "push", &content))
    };
    InsertKeyed(KeyedInsert {
        rows: KeyedRows::Tasks {
            rows: items.iter().map(|(_, params)| task(params, 1)).collect(),
            owner: ME.to_owned(),
        },
        keys: items.iter().map(key).collect(),
    })
}

fn send(key: &str, payload: &str) -> InsertKeyed {
    InsertKeyed(KeyedInsert {
        rows: KeyedRows::Messages {
            queue: "q".to_owned(),
            rows: vec![message(payload.as_bytes())],
        },
        keys: vec![Some(NewKey::new(
            key,
            "message",
            &[("payload", payload.as_bytes())],
        ))],
    })
}

fn rows(inserted: Keyed) -> Vec<KeyedRow> {
    match inserted {
        Keyed::Rows(rows) => rows,
        Keyed::Differs(difference) => panic!("{difference:?}"),
    }
}

fn before(inserted: Keyed) -> (usize, String) {
    match inserted {
        Keyed::Differs(difference) => (difference.at, difference.before),
        Keyed::Rows(rows) => panic!("{rows:?}"),
    }
}

fn key_of_a_record() -> NewKey {
    NewKey::new("k", "record", &[("payload", b"p")])
}

fn claim(key: NewKey, owner: &str) -> ClaimKey {
    ClaimKey(KeyClaim {
        key,
        owner: owner.to_owned(),
    })
}

fn end(owner: &str, end: KeyEnd) -> EndKey {
    EndKey {
        key: "k".to_owned(),
        owner: owner.to_owned(),
        end,
    }
}

impl Connection {
    async fn keyed(&mut self, items: &[(&str, &str)]) -> Vec<KeyedRow> {
        rows(self.write(push(items)).await)
    }

    async fn claim_key(&mut self, owner: &str) -> KeyClaimed {
        self.write(claim(key_of_a_record(), owner)).await
    }
}

impl World {
    fn all_tasks(&self) -> Vec<String> {
        self.lines("SELECT params AS line FROM delay_queue_log ORDER BY id")
    }
}

facts! {
    async fn a_repetition_returns_the_first_id(world) {
        let mut writer = world.writer().await;
        let first = writer.keyed(&[("a", "1"), ("-", "2"), ("b", "3")]).await;
        assert!(first.iter().all(|row| row.is_new));
        let again = writer.keyed(&[("b", "3"), ("c", "4"), ("-", "5"), ("a", "1")]).await;
        assert_eq!(again.iter().map(|row| row.is_new).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!((again[0].id, again[3].id), (first[2].id, first[0].id));
        assert_eq!(world.all_tasks(), ["1", "2", "3", "4", "5"]);
        let of_new = format!("SELECT params AS line FROM delay_queue_log WHERE id = {}", again[1].id);
        assert_eq!(world.line(&of_new), "4");
    }

    async fn a_key_of_something_else_refuses_the_whole_list(world) {
        let mut writer = world.writer().await;
        writer.keyed(&[("a", "1")]).await;
        let refused = writer.write(push(&[("new", "2"), ("-", "3"), ("a", "other")])).await;
        assert_eq!(before(refused), (2, "a push with another `params`".to_owned()));
        let refused = writer.write(send("a", "1")).await;
        assert_eq!(before(refused).1, "something of another kind");
        assert_eq!(world.all_tasks(), ["1"]);
        assert!(writer.keyed(&[("new", "2")]).await[0].is_new, "its key was not taken");
        assert_eq!(world.lag("q").await, 0);
    }

    async fn keys_are_kept_apart_by_their_bytes(world) {
        let mut writer = world.writer().await;
        for key in ["a", "A", "ä", "a\u{308}", "测试", "'; -- \\ %_", &"😀".repeat(190)] {
            assert!(writer.keyed(&[(key, "1")]).await[0].is_new, "{key}");
            assert!(!writer.keyed(&[(key, "1")]).await[0].is_new, "{key}");
        }
    }

    async fn two_inserts_of_one_key_make_one_row(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        for round in 0..20 {
            let (first, second, lone) = (format!("a{round}"), format!("b{round}"), format!("c{round}"));
            let (of_one, of_other) = tokio::join!(
                one.all(vec![push(&[(&first, "1"), (&second, "2")]), push(&[("-", "x")])]),
                other.all(vec![push(&[(&second, "2"), (&first, "1")]), push(&[(&lone, "y")])])
            );
            let ids = |mut inserted: Vec<Keyed>| rows(inserted.remove(0)).iter().map(|row| row.id).collect::<Vec<_>>();
            let mut of_other = ids(of_other);
            of_other.reverse();
            assert_eq!(ids(of_one), of_other, "{round}");
        }
        assert_eq!(world.all_tasks().len(), 20 * 4);
    }

    async fn two_writes_of_one_transaction_may_have_one_key(world) {
        let mut writer = world.writer().await;
        let written = writer.all(vec![push(&[("a", "1")]), push(&[("a", "1")]), push(&[("a", "2")])]).await;
        let [first, second, third] = <[Keyed; 3]>::try_from(written).unwrap();
        let (first, second) = (rows(first)[0], rows(second)[0]);
        assert_eq!((first.id, first.is_new, second.is_new), (second.id, true, false));
        before(third);
        assert_eq!(world.all_tasks(), ["1"]);
    }

    async fn a_table_message_and_its_key_commit_together(world) {
        let mut writer = world.writer().await;
        let first = rows(writer.write(send("a", "p")).await)[0];
        assert!(first.is_new);
        let fetched = writer.fetch(ME, 9).await;
        writer.settle(ME, &fetched[0], Disposition::Complete).await;
        let again = rows(writer.write(send("a", "p")).await)[0];
        assert_eq!((again.id, again.is_new), (first.id, false), "its row is gone, and known");
        assert_eq!(world.lag("q").await, 0);
        world.refuse("no_rows", "INSERT", "queue_message", "1 = 1");
        let refused = writer.0.apply([send("b", "p").into()].into()).await.answers();
        assert!(refused[0].is_err());
        let keys = world.lines("SELECT key_name AS line FROM idempotency_key");
        assert_eq!(keys, ["a"]);
    }

    async fn a_keyed_message_of_a_server_is_sent_once(world) {
        let mut writer = world.writer().await;
        let ours = |again| KeyClaimed::Ours { again };
        assert_eq!(writer.claim_key("x").await, ours(false));
        assert_eq!(writer.claim_key("x").await, ours(true), "its answer was lost");
        let KeyClaimed::Busy { for_ms } = writer.claim_key("y").await else { panic!("another sends it") };
        assert!((1..=CLAIM_MS).contains(&for_ms), "{for_ms}");
        writer.write(end("y", KeyEnd::Sent)).await;
        assert!(matches!(writer.claim_key("y").await, KeyClaimed::Busy { .. }), "it was not its own");
        let other = NewKey::new("k", "record", &[("payload", b"q")]);
        let KeyClaimed::Differs(before) = writer.write(claim(other, "y")).await else { panic!() };
        assert_eq!(before, "a record with another `payload`");
        writer.write(end("x", KeyEnd::Unsent)).await;
        assert_eq!(writer.claim_key("y").await, ours(false), "the key is free");
        writer.write(end("y", KeyEnd::InDoubt)).await;
        assert_eq!(writer.claim_key("z").await, ours(true), "nobody sends it, and it may be sent");
        writer.write(end("z", KeyEnd::Sent)).await;
        assert_eq!(writer.claim_key("x").await, KeyClaimed::Done);
    }

    async fn a_claim_of_a_sender_that_died_expires(world) {
        let mut writer = world.writer().await;
        writer.claim_key("x").await;
        (world.execute)(&format!("UPDATE idempotency_key SET claimed_ms = claimed_ms - {CLAIM_MS} - 1"));
        assert_eq!(writer.claim_key("y").await, KeyClaimed::Ours { again: true });
        writer.write(end("x", KeyEnd::Sent)).await;
        assert!(matches!(writer.claim_key("z").await, KeyClaimed::Busy { .. }), "the late end counts no more");
    }

    async fn of_two_that_claim_a_key_at_once_one_sends(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        for _ in 0..10 {
            let (first, second) = tokio::join!(one.claim_key("x"), other.claim_key("y"));
            let winners = [("x", &first), ("y", &second)];
            let mut ours = winners.iter().filter(|(_, claim)| matches!(claim, KeyClaimed::Ours { .. }));
            let (owner, _) = ours.next().unwrap();
            assert!(ours.next().is_none(), "{first:?} {second:?}");
            one.write(end(owner, KeyEnd::Unsent)).await;
        }
    }

    async fn old_keys_are_deleted_and_may_be_used_again(world) {
        let mut writer = world.writer().await;
        writer.keyed(&[("a", "1"), ("b", "2")]).await;
        (world.execute)("UPDATE idempotency_key SET created_ms = 1 WHERE key_name = 'a'");
        let trim = || TrimKeys { before_ms: 2 };
        for deleted in [1, 0] {
            assert_eq!(writer.write(trim()).await, deleted);
        }
        let again = writer.keyed(&[("a", "other"), ("b", "2")]).await;
        assert_eq!(again.iter().map(|row| row.is_new).collect::<Vec<_>>(), [true, false]);
    }
}
