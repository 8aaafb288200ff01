//! What the pages show: waiting messages, tasks, dead letters, orders.

use super::*;
use crate::store::browse::{
    AuditAsked, BAR_CAP, DeadLettersAsked, Next, Page, Reach, Span, TaskLine, TaskPlace,
    TasksAsked, audits, bars, dead_letters, tasks,
};
use crate::store::rows::AuditRow;
use crate::store::task_orders::{TaskOrder, TaskStatus, TaskWish};
use crate::store::write::{Audit, OrderTask};

/// Pages of two rows, each searched for to its end.
const TWO: Reach = Reach {
    page: 2,
    step: 3,
    time: Duration::MAX,
};
/// Everything on one page.
const ALL: Reach = Reach {
    page: 1000,
    step: 1000,
    time: Duration::MAX,
};
/// One step.
const ONE_STEP: Reach = Reach {
    page: 9,
    step: 3,
    time: Duration::ZERO,
};

const SECOND: i64 = 4_000_000_000;

fn due(second: i64) -> i64 {
    (SECOND + second) * 1000
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn dead_letter(name: &str, payload: &'static [u8], error: &str) -> NewDeadLetter {
    NewDeadLetter {
        kind: "redis",
        source: "list".to_owned(),
        entry: EntryName {
            name: name.to_owned(),
            exec_cmd: "order".to_owned(),
        },
        original_id: "b/7".to_owned(),
        payload: Bytes::from_static(payload),
        key: Some(Bytes::from_static(b"\xff\xfe\xfd")),
        headers: vec![("trace".to_owned(), Bytes::from_static(b"\0"))],
        error: error.to_owned(),
        attempts: 5,
        partition: "script1".to_owned(),
        first_ms: 7,
    }
}

impl World {
    async fn task_page(&self, asked: TasksAsked, reach: Reach) -> Page<TaskLine, TaskPlace> {
        let reader = self.store.reader();
        tasks(reader.as_ref(), asked, reach).await.unwrap()
    }

    /// The ids of all pages, page by page.
    async fn task_pages(&self, mut asked: TasksAsked) -> Vec<Vec<i64>> {
        let mut pages = Vec::new();
        loop {
            let page = self.task_page(asked.clone(), TWO).await;
            pages.push(page.rows.iter().map(|row| row.id).collect());
            match page.next {
                Next::End => return pages,
                Next::More(place) => asked.after = Some(place),
                Next::Unknown(place) => panic!("{place:?}"),
            }
        }
    }

    async fn dead_letter_ids_of(&self, asked: DeadLettersAsked) -> Vec<i64> {
        let reader = self.store.reader();
        let page = dead_letters(reader.as_ref(), asked, |_| true, ALL)
            .await
            .unwrap();
        assert_eq!(page.next, Next::End);
        page.rows.iter().map(|line| line.head.id).collect()
    }
}

facts! {
    async fn what_waits_is_counted_by_when_it_is_due(world) {
        let mut writer = world.writer().await;
        let now_s = now_ms().div_euclid(1000);
        let at = |second: i64| task("p", (now_s + second) * 1000);
        let (minute, hour, day) = (60, 3600, 24 * 3600);
        writer.push(vec![at(-5), at(0), at(59), at(minute), at(hour), at(2 * day), at(99 * day)]).await;
        let reader = world.store.reader();
        let bars = bars(reader.as_ref(), now_s).await.unwrap();
        let of = |bars: &[crate::store::browse::Bar]| {
            let filled = bars.iter().enumerate().filter(|(_, bar)| bar.tasks > 0);
            filled.map(|(at, bar)| (at, bar.tasks)).collect::<Vec<_>>()
        };
        assert_eq!((bars.overdue.tasks, bars.later.tasks), (1, 1));
        assert_eq!(of(&bars.minutes), [(0, 2), (1, 1)]);
        assert_eq!(of(&bars.hours), [(0, 3), (1, 1)]);
        assert_eq!(of(&bars.days), [(0, 4), (2, 1)]);
        assert_eq!((bars.minutes.len(), bars.hours.len(), bars.days.len()), (60, 24, 21));
    }

    async fn a_bar_is_counted_no_further_than_its_cap(world) {
        let mut writer = world.writer().await;
        let many = usize::try_from(BAR_CAP).unwrap() + 1;
        writer.push((0..many).map(|_| task("p", due(0))).collect()).await;
        let spans = [(0, 1), (1, 2), (-1, 0)].map(|(from, to)| Span { from_s: SECOND + from, to_s: SECOND + to });
        let counts = world.store.reader().waiting_in(spans.to_vec()).await.unwrap();
        assert_eq!(counts, [BAR_CAP, 0, 0]);
    }

    async fn tasks_of_one_second_come_once_by_page(world) {
        let mut writer = world.writer().await;
        let ids = writer.push([2, 1, 1, 1, 1, 0, 2].map(|second| task("p", due(second))).to_vec()).await;
        let pages = world.task_pages(TasksAsked::of(TaskStatus::Waiting)).await;
        assert_eq!(pages, [vec![ids[5], ids[1]], vec![ids[2], ids[3]], vec![ids[4], ids[0]], vec![ids[6]]]);
        for id in &ids {
            let order = TaskOrder { environment: "dev".to_owned(), ordered_by: "ann".to_owned(), id: *id, wish: TaskWish::Cancel };
            writer.write(OrderTask(order)).await;
        }
        let pages = world.task_pages(TasksAsked::of(TaskStatus::Failed)).await;
        assert_eq!(pages, [vec![ids[6], ids[0]], vec![ids[4], ids[3]], vec![ids[2], ids[1]], vec![ids[5]]], "the latest first");
        assert_eq!(world.task_pages(TasksAsked::of(TaskStatus::Waiting)).await, [Vec::<i64>::new()]);
    }

    async fn tasks_are_found_by_their_names_and_by_a_text_in_them(world) {
        let mut writer = world.writer().await;
        let new = |name: &str, exec_cmd: &str, params: &str| NewTask {
            name: name.to_owned(),
            exec_cmd: exec_cmd.to_owned(),
            ..task(params, due(0))
        };
        let ids = writer.push(vec![
            new("Bill 17", "bill", "a"),
            new("bill 18", "bill", "50%_! \u{6d4b}\u{8bd5}"),
            new("x", "Remind", "bill 17"),
            new("y", "remind", "50 percent"),
        ]).await;
        let all = || TasksAsked::of(TaskStatus::Waiting);
        for (asked, expected) in [
            (TasksAsked { text: text("BILL 17"), ..all() }, vec![ids[0], ids[2]]),
            (TasksAsked { text: text("remind"), ..all() }, vec![ids[2], ids[3]]),
            (TasksAsked { text: text("50%_!"), ..all() }, vec![ids[1]]),
            (TasksAsked { text: text("\u{8bd5}"), ..all() }, vec![ids[1]]),
            (TasksAsked { text: text("'; --\0"), ..all() }, vec![]),
            (TasksAsked { exec_cmd: text("bill"), ..all() }, vec![ids[0], ids[1]]),
            (TasksAsked { exec_cmd: text("bill"), name: text("bill 18"), ..all() }, vec![ids[1]]),
            (TasksAsked { exec_cmd: text("bill"), text: text("18"), ..all() }, vec![ids[1]]),
            (TasksAsked { name: text("bill"), ..all() }, vec![]),
        ] {
            let page = world.task_page(asked.clone(), ALL).await;
            let found: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
            assert_eq!((found, page.next), (expected, Next::End), "{asked:?}");
        }
    }

    async fn a_search_goes_on_where_it_stopped(world) {
        let mut writer = world.writer().await;
        let ids = writer.push((0..8).map(|n| task(if n % 4 == 1 { "wanted" } else { "p" }, due(0))).collect()).await;
        let mut asked = TasksAsked { text: text("wanted"), ..TasksAsked::of(TaskStatus::Waiting) };
        let mut found = Vec::new();
        for edge in [Some(2), Some(5), None] {
            let page = world.task_page(asked.clone(), ONE_STEP).await;
            found.extend(page.rows.iter().map(|row| row.id));
            match edge {
                Some(at) => {
                    let place = TaskPlace { second: SECOND, id: ids[at] };
                    assert_eq!(page.next, Next::Unknown(place));
                    asked.after = Some(place);
                }
                None => assert_eq!(page.next, Next::End),
            }
        }
        assert_eq!(found, [ids[1], ids[5]]);
    }

    async fn tasks_of_other_programs_are_listed_and_searched(world) {
        world.insert_no_text();
        let asked = TasksAsked { text: text("good"), ..TasksAsked::of(TaskStatus::Waiting) };
        let page = world.task_page(TasksAsked::of(TaskStatus::Waiting), ALL).await;
        assert_eq!(page.rows[0].params, "\u{fffd}\0\u{fffd}");
        let found = world.task_page(asked, ALL).await.rows;
        // PostgreSQL shows bytes as digits; elsewhere they are searched as they are.
        assert!(found.len() <= 1 && found.iter().all(|row| row.params == "good"), "{found:?}");
    }

    async fn dead_letters_come_by_page_and_filters(world) {
        let mut writer = world.writer().await;
        let new = vec![
            dead_letter("orders", b"{\"id\": 17}", "refused: 7"),
            dead_letter("orders", b"{\"id\": 18}", "REFUSED: 8"),
            dead_letter("bills", b"{\"id\": 17}", "50%"),
            dead_letter("bills", b"\xff\x00{\"id\": 17}", "refused: 9"),
            dead_letter("bills", b"x", "gone"),
        ];
        writer.write(InsertDeadLetters { dead_letters: new }).await;
        let mut ids = world.dead_letter_ids_of(DeadLettersAsked::default()).await;
        ids.reverse();
        let of = |at: &[usize]| at.iter().map(|at| ids[*at]).collect::<Vec<_>>();
        let filtered = |filter: DeadLetterFilter| DeadLettersAsked { filter, ..DeadLettersAsked::default() };
        let orders = DeadLetterFilter { name: text("orders"), ..DeadLetterFilter::default() };
        let refused = DeadLetterFilter { error: text("refused"), ..DeadLetterFilter::default() };
        let payload = |text: &str| DeadLettersAsked { payload: Some(text.to_owned()), ..DeadLettersAsked::default() };
        let now = now_ms();
        for (asked, expected) in [
            (filtered(orders.clone()), of(&[1, 0])),
            (filtered(refused.clone()), of(&[3, 1, 0])),
            (filtered(DeadLetterFilter { error: text("50%"), ..DeadLetterFilter::default() }), of(&[2])),
            (filtered(DeadLetterFilter { error_like: text("%: 9%"), ..DeadLetterFilter::default() }), of(&[3])),
            (filtered(DeadLetterFilter { kind: text("kafka"), ..DeadLetterFilter::default() }), of(&[])),
            (filtered(DeadLetterFilter { kind: text("redis"), source: text("list"), exec_cmd: text("order"), ..orders.clone() }), of(&[1, 0])),
            (filtered(DeadLetterFilter { until_ms: Some(now - 3_600_000), ..DeadLetterFilter::default() }), of(&[])),
            (filtered(DeadLetterFilter { since_ms: Some(now - 3_600_000), ..refused.clone() }), of(&[3, 1, 0])),
            (payload("\"id\": 17"), of(&[3, 2, 0])),
            (payload("\"ID\": 17"), of(&[])),
            (DeadLettersAsked { filter: refused.clone(), ..payload("\"id\": 17") }, of(&[3, 0])),
            (DeadLettersAsked { original_id: text("b/7"), before: Some(ids[2]), ..DeadLettersAsked::default() }, of(&[1, 0])),
            (DeadLettersAsked { original_id: text("b/8"), ..DeadLettersAsked::default() }, of(&[])),
        ] {
            assert_eq!(world.dead_letter_ids_of(asked.clone()).await, expected, "{asked:?}");
        }
        let reader = world.store.reader();
        let odd = |asked| dead_letters(reader.as_ref(), asked, |line| line.head.name == "bills", TWO);
        let page = odd(DeadLettersAsked::default()).await.unwrap();
        assert_eq!(page.rows.iter().map(|line| line.head.id).collect::<Vec<_>>(), of(&[4, 3]));
        assert_eq!(page.next, Next::More(ids[3]));
        let page = odd(DeadLettersAsked { before: Some(ids[3]), ..DeadLettersAsked::default() }).await.unwrap();
        assert_eq!(page.rows.iter().map(|line| line.head.id).collect::<Vec<_>>(), of(&[2]));
        assert_eq!(page.next, Next::End);
    }

    async fn a_large_dead_letter_is_opened_by_its_beginning(world) {
        let mut writer = world.writer().await;
        let payload = Bytes::from(vec![b'x'; 1 << 20]);
        let large = NewDeadLetter { payload, ..dead_letter("orders", b"", "e") };
        writer.write(InsertDeadLetters { dead_letters: vec![large, dead_letter("orders", b"\0\xff", "e")] }).await;
        let ids = world.dead_letter_ids_of(DeadLettersAsked::default()).await;
        let reader = world.store.reader();
        let opened = reader.dead_letter(ids[1], 2).await.unwrap().unwrap();
        assert_eq!((&opened.line.payload[..], opened.line.payload_bytes), (&b"xx"[..], 1 << 20));
        assert_eq!((opened.key.as_deref(), opened.key_bytes), (Some(&b"\xff\xfe"[..]), 3));
        assert_eq!(opened.headers, [("trace".to_owned(), Bytes::from_static(b"\0"))]);
        assert!(!opened.is_cut);
        let opened = reader.dead_letter(ids[0], 99).await.unwrap().unwrap();
        assert_eq!((&opened.line.payload[..], opened.line.payload_bytes), (&b"\0\xff"[..], 2));
        assert_eq!((opened.line.attempts, opened.line.first_ms), (5, 7));
        assert!(reader.dead_letter(i64::MAX, 9).await.unwrap().is_none());
    }

    async fn audit_rows_are_listed_by_person_and_target(world) {
        let mut writer = world.writer().await;
        for (environment, by, action, target) in [
            ("dev", "Ann@web-1", "pause", "queue `orders`"),
            ("dev", "bob", "reload", "the configuration"),
            ("test", "ann@web-1", "pause", "queue `orders`"),
            ("dev", "bob", "pause", "delayed task 17"),
        ] {
            let row = AuditRow { environment: environment.to_owned(), ordered_by: by.to_owned(), action, target: target.to_owned(), result: "done".to_owned() };
            writer.write(Audit(row)).await;
        }
        let reader = world.store.reader();
        let all = || AuditAsked::of("dev");
        for (asked, expected) in [
            (all(), vec!["delayed task 17", "the configuration", "queue `orders`"]),
            (AuditAsked { who: text("ann"), ..all() }, vec!["queue `orders`"]),
            (AuditAsked { action: text("pause"), ..all() }, vec!["delayed task 17", "queue `orders`"]),
            (AuditAsked { action: text("pause"), who: text("bob"), ..all() }, vec!["delayed task 17"]),
            (AuditAsked { text: text("TASK 17"), ..all() }, vec!["delayed task 17"]),
        ] {
            let page = audits(reader.as_ref(), asked.clone(), |_| true, ALL).await.unwrap();
            let found: Vec<&str> = page.rows.iter().map(|row| row.target.as_str()).collect();
            assert_eq!((found, page.next), (expected, Next::End), "{asked:?}");
        }
        let page = audits(reader.as_ref(), all(), |_| true, TWO).await.unwrap();
        let Next::More(before) = page.next else { panic!("{:?}", page.next) };
        let rest = audits(reader.as_ref(), AuditAsked { before: Some(before), ..all() }, |_| true, TWO).await.unwrap();
        assert_eq!((page.rows.len(), rest.rows.len()), (2, 1));
    }
}
