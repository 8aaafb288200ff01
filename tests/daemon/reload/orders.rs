//! What an order is answered, and who may give it.

use super::*;

#[test]
fn a_faulty_file_changes_nothing_and_the_report_says_what_would_be_right() {
    let world = world(Engine::Sqlite).unwrap();
    let crontab = json!([second("beat")]);
    world.partition("script1", &json!([queue("work", 1)]), &crontab);
    let mut daemon = world.start();
    let text = |entry: &str| format!("[\n  {},\n  {entry}\n]", queue("work", 3));
    let entry = queue("new", 1).to_string();
    for (entry, parts) in [
        (
            entry.replace("progress_lag_limit", "progress_lag_limt"),
            &[
                "etc/queue_script1.json:3:",
                "did you mean `progress_lag_limit`?",
            ][..],
        ),
        (
            entry.replace("\"exec_cmd\":\"ledger\"", "\"exec_cmd\":\"ledgr\""),
            &[
                "etc/queue_script1.json:3:",
                "`[1].exec_cmd`",
                "did you mean `ledger`?",
            ],
        ),
        (entry.replace('}', ""), &["etc/queue_script1.json:"]),
    ] {
        world.etc_text("queue_script1.json", &text(&entry));
        let (status, said) = reload(&world);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with("nothing has changed"), "{said}");
        for part in parts {
            assert!(said.contains(part), "{said}");
        }
    }
    // All files at once, and to the log.
    world.etc_text("crontab_script1.json", "[{\"cron\": \"never\"}]");
    daemon.signal(Signal::HUP);
    daemon.wait_log("the configuration is not reloaded (SIGHUP)");
    for file in ["etc/queue_script1.json:", "etc/crontab_script1.json:1:"] {
        daemon.wait_log(file);
    }
    let work = shown(&world, "work");
    assert_eq!(
        (&work["progress"], &work["resizes"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(shown(&world, "new"), Value::Null);
    let before = fires(&daemon, "beat");
    let mut database = world.database();
    // `still`; `send` would read the faulty files.
    database.execute(
        "INSERT INTO queue_message (queue, payload, due_ms, created_ms) VALUES ('work', X'7374696C6C', 0, 0)",
    );
    wait_until("the work to go on", PATIENCE, || {
        world.ledger().of_body("still").len() == 1 && fires(&daemon, "beat") > before + 1
    });
    assert!(!daemon.log().contains(RELOADED));
    let rows = "SELECT count(*) AS n FROM audit WHERE action = 'reload' AND ordered_by LIKE '% at the socket' AND result LIKE 'refused%'";
    wait_until("three orders that were refused", PATIENCE, || {
        database.number(rows) == 3
    });
    daemon.stop();
}

#[test]
fn what_only_a_new_start_can_do_is_named_and_left() {
    let world = world(Engine::Sqlite).unwrap();
    world.partition("script1", &json!([queue("work", 1)]), &json!([]));
    let daemon = world.start();
    set(
        &world,
        "database",
        json!({ "url": "sqlite://data/another.db" }),
    );
    set(&world, "workers", json!(3));
    set(
        &world,
        "redis",
        json!({ "new": { "url": "redis://127.0.0.1:1/0" } }),
    );
    let queues = json!([queue("work", 2), list_of("new", "k", 1), queue("table", 1)]);
    world.partition("script1", &queues, &json!([]));
    let said = must_reload(&world);
    for line in [
        "needs a restart: `database`\n",
        "needs a restart: `redis`\n",
        "needs a restart: `workers`\n",
        "needs a restart: queue `list`, which uses `redis.new`\n",
        "changed: queue `work` (`progress` 1, now 2)\n",
        "came: queue `table`\n",
    ] {
        assert!(said.contains(line), "{line}{said}");
    }
    assert_eq!(said.matches("needs a restart").count(), 4, "{said}");
    assert!(!world.path("data/another.db").exists());
    // Where it works the messages are; `send` would read the new settings.
    let mut database = world.database();
    database.execute("INSERT INTO queue_message (queue, payload, due_ms, created_ms) VALUES ('table', X'31', 0, 0)");
    wait_until("a message of the entry that came", PATIENCE, || {
        world.ledger_len() == 1
    });
    daemon.stop();
}

#[test]
fn without_a_daemon_the_command_says_so() {
    let world = world(Engine::Sqlite).unwrap();
    world.migrate();
    let (status, said) = reload(&world);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("no daemon of partition script1 runs here"),
        "{said}"
    );
    // One that was killed has left its socket.
    world.start().kill();
    assert!(world.path("data/script1.sock").exists());
    let (status, said) = reload(&world);
    assert_eq!(status, Some(1), "{said}");
    // Of another partition.
    world.partition("script2", &json!([]), &json!([]));
    let daemon = world.start_as("script2");
    assert_eq!(reload(&world).0, Some(1));
    assert!(
        world
            .output(&["--partition", "script2", "reload"])
            .contains("no entry has changed")
    );
    daemon.stop();
    // Nobody is there to ask, and the settings are faulty.
    world.etc_text("dev.json", "{\"workers\": -1}");
    let (status, said) = reload(&world);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("etc/dev.json:1:13: `workers`"), "{said}");
}

#[test]
fn an_order_over_http_is_refused_where_every_order_is() {
    let mut all = settings();
    all["http"] = json!({ "listen": "127.0.0.1:0" });
    let world = World::new(all.clone());
    let mut daemon = world.start();
    let address = crate::http::address(&mut daemon);
    let order = |headers: &[(&str, &str)]| {
        let headers = [&[("Host", &*address)], headers].concat();
        ask_with(&address, "POST", "/api/v1/reload", &headers)
    };
    world.partition("script1", &json!([queue("work", 1)]), &json!([]));
    for headers in [
        &[][..],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("x-ordered-by", "root")],
    ] {
        assert_eq!(order(headers).status, 403, "{headers:?}");
    }
    assert_eq!(
        ask_with(&address, "GET", "/api/v1/reload", &[("Host", &*address)]).status,
        404
    );
    assert_eq!(shown(&world, "work"), Value::Null, "nothing was read");
    let own = order(&[
        ("Sec-Fetch-Site", "same-origin"),
        ("x-ordered-by", "somebody else"),
    ]);
    assert_eq!(own.status, 200, "{}", own.body);
    assert_eq!(own.json()["came"], json!(["queue `work`"]));
    world.etc_text("queue_script1.json", "[7]");
    let faulty = ask_socket(&world.path("data/script1.sock"), "POST", "/api/v1/reload");
    assert_eq!(
        (faulty.status, &faulty.json()["outcome"]),
        (422, &json!("refused"))
    );
    assert!(
        faulty.json()["faults"][0]
            .as_str()
            .unwrap()
            .starts_with("etc/queue_script1.json:1:2")
    );
    let mut database = world.database();
    let audited = wait_for("two rows", PATIENCE, || {
        let rows =
            database.texts("SELECT ordered_by FROM audit WHERE action = 'reload' ORDER BY id");
        (rows.len() == 2).then_some(rows)
    });
    assert_eq!(audited[0], "127.0.0.1");
    assert!(audited[1].ends_with(" at the socket"), "{audited:?}");
    daemon.stop();

    let port = with(all["http"].clone(), "read_only", json!(true));
    set(&world, "http", port);
    world.etc_text("queue_script1.json", "[]");
    let mut daemon = world.start();
    let (status, said) = reload(&world);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("`http.read_only` is set"), "{said}");
    // The system's own way is no order over the port.
    daemon.signal(Signal::HUP);
    daemon.wait_log("(SIGHUP): no entry has changed");
    daemon.stop();
}
