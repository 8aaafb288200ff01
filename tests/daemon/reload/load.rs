//! Under load, and by many orders at once.

use super::*;

const ROUNDS: usize = 6;

on_each_database! { world =>
    reloads_under_load_lose_and_double_nothing,
}

fn reloads_under_load_lose_and_double_nothing(world: World) {
    let list = shared().map(|server| (server, server.key()));
    if let Some((server, _)) = &list {
        set(&world, "redis", json!({ "lists": { "url": server.url() } }));
    }
    let write = |round: usize| {
        let is_odd = round % 2 == 1;
        let mut queues = vec![
            queue("stays", 2),
            queue("grows", if is_odd { 4 } else { 1 }),
            with(
                queue("tuned", 2),
                "timeout",
                json!(format!("{}s", 30 + round)),
            ),
            with(queue("replaced", 2), "max_attempts", json!(3 + round)),
        ];
        let mut crontab = vec![second("beat")];
        if is_odd {
            crontab.push(second("comes and goes"));
        } else {
            queues.push(queue("comes and goes", 2));
        }
        if let Some((_, key)) = &list {
            queues.push(list_of("lists", key, if is_odd { 3 } else { 2 }));
        }
        replace(&world, "queue_script1.json", &json!(queues));
        replace(&world, "crontab_script1.json", &json!(crontab));
    };
    write(0);
    let mut daemon = world.start();
    world.send("stays", &["sleep:4000:long".to_owned()]);
    let mut sent = vec!["sleep:4000:long".to_owned()];
    for name in ["stays", "grows", "tuned", "replaced", "comes and goes"] {
        let messages = bodies(name, 500);
        world.send(name, &messages);
        sent.extend(messages);
    }
    let mut on_server = list
        .as_ref()
        .map(|(server, key)| List::on(server, key.clone()));
    if let Some(list) = &mut on_server {
        let messages = bodies("list", 1500);
        list.push(&messages);
        sent.extend(messages);
    }
    let tasks: Vec<(String, i64)> = (0..300)
        .map(|n| (format!("sleep:2:task {n}"), now_s() + n % 8))
        .collect();
    world.insert_tasks(&tasks);
    sent.extend(tasks.into_iter().map(|(params, _)| params));

    for round in 1..=ROUNDS {
        let before = ["stays", "beat", "comes and goes"].map(|name| (name, ran(&world, name)));
        write(round);
        let said = must_reload(&world);
        assert!(said.contains("queue `grows` (`progress` "), "{said}");
        assert!(
            !said.contains("`stays`") && !said.contains("`beat`"),
            "{said}"
        );
        let named = if round % 2 == 1 {
            "went: queue `comes and goes`"
        } else {
            "came: queue `comes and goes`"
        };
        assert!(said.contains(named), "{said}");
        // In each round what is there has run.
        let mut more = vec!["stays"];
        if round % 2 == 0 {
            more.push("comes and goes");
        }
        for name in more {
            let message = format!("{name}, of round {round}");
            world.send(name, [&message]);
            sent.push(message);
        }
        wait_until("the work to go on", PATIENCE, || {
            before.iter().all(|(name, n)| ran(&world, name) > *n)
        });
    }
    world.wait_drained();
    if let Some(list) = &mut on_server {
        wait_until("the list to be empty", LONG_PATIENCE, || list.is_empty());
    }
    let beats = seconds(&world, "beat").len();
    wait_until("cron to go on", PATIENCE, || {
        seconds(&world, "beat").len() > beats + 1
    });
    let log = daemon.log();
    assert!(!log.contains("ERROR"), "{log}");
    daemon.wait_log("what it ran before the reload has ended");
    daemon.stop();

    let ledger = world.ledger();
    assert_eq!(ledger.missing(&sent), [""; 0]);
    for body in &sent {
        assert_eq!(ledger.attempts_of(body), [1], "{body}");
    }
    assert!(ledger.doubled().is_empty(), "{:#?}", ledger.doubled());
    // Each second of an entry that stayed, and no second twice.
    let beats = seconds(&world, "beat");
    let all: Vec<i64> = (beats[0]..=*beats.last().unwrap()).collect();
    assert_eq!(beats, all);
    let others = seconds(&world, "comes and goes");
    let distinct: BTreeSet<&i64> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
    assert!(
        !others.is_empty() && others.len() < beats.len(),
        "{others:?}"
    );
}

#[test]
fn ten_signals_in_a_row_end_at_what_the_files_say() {
    let world = world(Engine::Sqlite).unwrap();
    world.partition(
        "script1",
        &json!([queue("work", 1)]),
        &json!([second("beat")]),
    );
    let mut daemon = world.start();
    let messages = bodies("work", 500);
    world.send("work", &messages);
    for round in 0..10 {
        let queues = json!([
            queue("work", 1 + round % 3),
            queue(&format!("of round {round}"), 1)
        ]);
        world.partition("script1", &queues, &json!([second("beat")]));
        daemon.signal(Signal::HUP);
    }
    wait_until("the last one", PATIENCE, || {
        shown(&world, "of round 9") != Value::Null && shown(&world, "of round 8") == Value::Null
    });
    // While nothing has changed.
    daemon.signal(Signal::HUP);
    daemon.wait_log("(SIGHUP): no entry has changed");
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&messages), [""; 0]);
    assert!(ledger.doubled().is_empty());
}

#[test]
fn a_stop_in_the_middle_of_a_reload_ends_in_time_and_loses_nothing() {
    let world = world(Engine::Sqlite).unwrap();
    let write = |round: usize| {
        let many = (0..100).map(|n| queue(&format!("{round} {n}"), 2));
        let queues: Vec<Value> = many
            .chain([queue("work", 2 + u32::try_from(round % 2).unwrap())])
            .collect();
        let crontab: Vec<Value> = (0..20)
            .map(|n| second(&format!("beat {round} {n}")))
            .collect();
        world.partition("script1", &json!(queues), &json!(crontab));
    };
    world.partition("script1", &json!([queue("work", 2)]), &json!([]));
    world.migrate();
    let mut sent = Vec::new();
    for round in 0..5 {
        write(round);
        let daemon = world.start();
        let messages = bodies(&format!("round {round}"), 100);
        world.send("work", &messages);
        sent.extend(messages);
        write(round + 10);
        daemon.signal(Signal::HUP);
        random_moment(Duration::from_millis(100));
        // Exit status 0, within its deadline and what a busy machine adds.
        let took = daemon.stop();
        assert!(took < Duration::from_secs(25), "{took:?}");
    }
    world.partition("script1", &json!([queue("work", 2)]), &json!([]));
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&sent), [""; 0]);
    for body in &sent {
        assert_eq!(ledger.of_body(body).len(), 1, "{body}");
    }
}
