//! A server that answers a new connection, and does not let it work: the start ends with the server's words. Only one that
//! does not answer is waited for (`outage.rs`).

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::engine::{Engine, OwnServer, on_each_server};
use crate::servers::postgres;
use crate::world::World;

/// No start that is refused takes longer, on a machine that compiles something else. One that waits does so for ever.
const AT_ONCE: Duration = Duration::from_secs(30);
/// Every character that means something in an address, or in its encoding.
const PASSWORD: &str = "p%40w+@:/?#[]&=é ~";
/// The same in a URL.
const ENCODED: &str = "p%2540w%2B%40%3A%2F%3F%23%5B%5D%26%3D%C3%A9%20~";

on_each_server! { world =>
    an_answer_ends_the_start_with_the_servers_words,
    a_right_that_is_missing_ends_the_start,
    check_says_when_the_next_start_may_not_migrate,
}
on_each_server! { own_server =>
    passwords_of_any_characters_log_in,
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn own_server(engine: Engine) -> Option<(World, OwnServer)> {
    let server = OwnServer::of(engine)?;
    Some((World::at(engine, server.database(), json!({})), server))
}

/// The start must end with status 1, soon, and say this.
#[track_caller]
fn refused(world: &World, url: &str, words: &[&str]) {
    world.etc("dev.json", &json!({ "database": { "url": url } }));
    let begun = Instant::now();
    let output = world.run(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{url}: {said}");
    assert!(begun.elapsed() < AT_ONCE, "{url}: {:?}", begun.elapsed());
    for word in words {
        assert!(said.contains(word), "{url}: {word}: {said}");
    }
    assert!(!said.contains(" is away"), "{url}: {said}");
}

/// The same address with another user.
fn as_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, server) = rest.split_once('@').unwrap();
    format!("{scheme}://{user}@{server}")
}

fn an_answer_ends_the_start_with_the_servers_words(world: World) {
    let url = world.url().to_owned();
    let (server, _) = url.rsplit_once('/').unwrap();
    refused(&world, &format!("{server}/nowhere"), &["nowhere"]);
    if world.engine == Engine::Postgres {
        refused(&world, &as_user(&url, "nobody"), &["nobody"]);
        let options = "options=-c%20no_such_setting%3D1";
        refused(&world, &format!("{url}?{options}"), &["no_such_setting"]);
    } else {
        refused(&world, &as_user(&url, "root:wrong"), &["1045", "root"]);
        if world.engine == Engine::MariaDb {
            refused(&world, &format!("{url}?ssl_mode=required"), &["SSL"]);
        }
    }
}

fn a_right_that_is_missing_ends_the_start(world: World) {
    let url = world.url().to_owned();
    let mut database = world.migrate();
    let name = url.rsplit_once('/').unwrap().1;
    let user = format!("reader_{name}");
    let (on, mut grants) = match world.engine {
        Engine::Postgres => (
            "ALL TABLES IN SCHEMA public",
            vec![
                format!("CREATE ROLE {user} LOGIN"),
                format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}"),
            ],
        ),
        _ => ("*", vec![format!("CREATE USER {user}")]),
    };
    grants.push(format!("GRANT SELECT, UPDATE, DELETE ON {on} TO {user}"));
    for grant in grants {
        database.execute(&grant);
    }
    let address = as_user(&url, &user);
    refused(&world, &address, &["denied", "crontab_log", "`INSERT`"]);
    database.execute(&format!("GRANT INSERT ON {on} TO {user}"));
    let daemon = world.start();
    daemon.stop();
    database.execute(&format!("REVOKE SELECT ON {on} FROM {user}"));
    refused(&world, &address, &["denied"]);
}

fn check_says_when_the_next_start_may_not_migrate(world: World) {
    let url = world.url().to_owned();
    let mut database = world.database();
    let user = format!("user_{}", url.rsplit_once('/').unwrap().1);
    match world.engine {
        Engine::Postgres => database.execute(&format!("CREATE ROLE {user} LOGIN")),
        _ => {
            database.execute(&format!("CREATE USER {user}"));
            database.execute(&format!("GRANT SELECT, INSERT ON * TO {user}"));
        }
    }
    let address = as_user(&url, &user);
    world.etc("dev.json", &json!({ "database": { "url": address } }));
    let output = world.run(&["check", "--online"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the next start fails"), "{said}");
    assert!(said.contains("lacks CREATE on the"), "{said}");
    assert!(said.contains("`migrate --print`"), "{said}");
    assert!(!said.contains("done by the next start"), "{said}");
    refused(&world, &address, &["`simplest_script migrate --print`"]);
    world.etc("dev.json", &json!({ "database": { "url": url } }));
    let said = world.output(&["check", "--online"]);
    assert!(said.contains("done by the next start"), "{said}");
}

fn passwords_of_any_characters_log_in((world, server): (World, OwnServer)) {
    let mut database = world.database();
    let url = world.url().to_owned();
    let mut addresses = vec![as_user(&url, &format!("u%20%40x:{ENCODED}"))];
    if let OwnServer::Postgres(server) = &server {
        // Its only rule until now lets everybody in without one.
        let file = server.execute("SHOW hba_file");
        let rules = "host all postgres all trust\nhost all all all scram-sha-256\n";
        fs::write(file.trim(), rules).unwrap();
        database.execute("SELECT pg_reload_conf()");
        database.execute(&format!(
            "CREATE ROLE \"u @x\" LOGIN SUPERUSER PASSWORD '{PASSWORD}'"
        ));
    } else {
        database.execute(&format!("CREATE USER 'u @x' IDENTIFIED BY '{PASSWORD}'"));
        database.execute("GRANT ALL ON *.* TO 'u @x'");
        let (_, at) = url.split_once('@').unwrap();
        let (host, name) = at.split_once('/').unwrap();
        addresses.push(format!(
            "u @x:{PASSWORD}@tcp({host})/{name}?charset=utf8mb4"
        ));
    }
    for address in addresses {
        world.etc("dev.json", &json!({ "database": { "url": address } }));
        world.output(&["migrate"]);
        world.etc(
            "dev.json",
            &json!({ "database": { "url": address.replace("w+", "w-").replace("w%2B", "w-") } }),
        );
        let output = world.run(&["migrate"]);
        assert_eq!(output.status.code(), Some(1), "{address}");
    }
}

#[test]
fn options_of_an_address_reach_postgres_as_they_are_written() {
    let Some(server) = postgres::shared() else {
        return;
    };
    let world = World::at(Engine::Postgres, server.database(), json!({}));
    let mut database = world.database();
    database.execute("CREATE SCHEMA s1");
    let options = "options=-c%20search_path%3Ds1%20-c%20application_name%3Da+b";
    let url = format!("{}?{options}", world.url());
    world.etc("dev.json", &json!({ "database": { "url": url } }));
    world.output(&["migrate"]);
    let there =
        "SELECT count(*) FROM pg_tables WHERE schemaname = 's1' AND tablename = 'queue_message'";
    assert_eq!(database.number(there), 1);
    let daemon = world.start();
    let named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a+b'";
    assert!(database.number(named) > 0);
    daemon.stop();
}

#[test]
fn a_database_of_another_encoding_is_refused() {
    let Some(server) = postgres::shared() else {
        return;
    };
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("in_{}", encoding.to_lowercase());
        server.execute(&format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
        ));
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", server.port());
        let world = World::at(Engine::Postgres, url.clone(), json!({}));
        refused(&world, &url, &[encoding, "ENCODING 'UTF8'"]);
    }
}

/// By a trigger, as an example of what only the first write meets.
#[test]
fn a_refused_first_write_ends_the_start() {
    let world = World::new(json!({}));
    let mut database = world.migrate();
    database.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON boot BEGIN SELECT RAISE(ABORT, 'no more boots'); END",
    );
    let output = world.run(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("refuses this daemon's row in `boot`: no more boots"),
        "{said}"
    );
}
