//! Servers that Sentinels watch: failovers in the middle of the work, and addresses that lead nowhere.

use serde_json::{Value, json};

use super::{List, certificate, entry};
use crate::process::Daemon;
use crate::servers::redis::Redis;
use crate::servers::sentinels::{SERVICE, Sentinels};
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

const MESSAGES: usize = 20_000;
/// How many of these had run when the replica was cut off, and when its primary died.
const BEFORE_THE_CUT: usize = 2000;
const BEFORE_THE_END: usize = 5000;

/// Two milliseconds each: the failover takes a part of the work only.
fn bodies(from: usize, n: usize) -> Vec<String> {
    (from..from + n).map(|n| format!("sleep:2:{n}")).collect()
}

fn settings(url: &str) -> Value {
    json!({ "heartbeat_interval": "300ms", "redis": { "default": { "url": url } } })
}

fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_failover_loses_nothing_that_the_new_primary_had_or_this_daemon_holds() {
    let Some(group) = Sentinels::dedicated() else {
        return;
    };
    let world = World::new(settings(&group.url()));
    let held = json!({ "name": "held", "progress": 1, "timeout": "12s", "max_attempts": 2, "backoff": "200ms" });
    let queues = json!([entry("work", json!({})), entry("held", held)]);
    world.partition("script1", &queues, &json!([]));
    let all = bodies(0, MESSAGES);
    let mut work = List::on(&group.primary, "work".to_owned());
    let mut held = List::on(&group.primary, "held".to_owned());
    work.push(&all);
    held.push(&["sleep:1:marker".to_owned()]);
    let mut daemon = world.start();
    wait_until("the first part to run", LONG_PATIENCE, || {
        world.ledger_len() > BEFORE_THE_CUT && held.is_empty()
    });
    group.cut_replication();
    // The replica will know this daemon, and not this message, whose handler ends when the other one is the primary.
    held.push(&["hang:held".to_owned()]);
    // This one nobody takes, and the replica does not have it.
    let mut nobodys = List::on(&group.primary, "nobodys".to_owned());
    nobodys.push(&["lost".to_owned()]);
    held.wait_sent();
    wait_until("the second part to run", LONG_PATIENCE, || {
        world.ledger_len() > BEFORE_THE_END
    });
    group.primary.kill();
    daemon.wait_log("redis `default` is away");
    group.wait_promoted();
    let said = daemon.wait_log("the primary is 127.0.0.1:");
    assert!(said.contains("by its Sentinels"), "{said}");
    daemon.wait_log("redis `default` is back after");
    let said = daemon.wait_log("messages that producers pushed last may be lost");
    let (before, now) = (group.primary.port(), group.replica.port());
    assert!(
        said.contains(&format!("the primary is 127.0.0.1:{now} now"))
            && said.contains(&format!("was 127.0.0.1:{before}")),
        "{said}"
    );

    let mut work = List::on(&group.replica, "work".to_owned());
    let mut held = List::on(&group.replica, "held".to_owned());
    let more = bodies(MESSAGES, 1000);
    work.push(&more);
    work.wait_empty();
    held.wait_empty();
    wait_until("what was held to be given up", PATIENCE, || {
        world.dead_letters().len() == 1
    });
    let log = daemon.log();
    assert_eq!(count(&log, "redis `default` is away"), 1, "{log}");
    assert_eq!(count(&log, "redis `default` is back after"), 1, "{log}");
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&all), [""; 0]);
    assert_eq!(ledger.missing(&more), [""; 0]);
    assert_eq!(ledger.attempts_of("hang:held"), [1, 2]);
    println!(
        "{} runs of {} messages",
        ledger.lines.len(),
        MESSAGES + 1000
    );
}

#[test]
fn an_orderly_failover_is_followed_and_loses_nothing() {
    let Some(group) = Sentinels::dedicated() else {
        return;
    };
    let world = World::new(settings(&group.url()));
    world.partition("script1", &json!([entry("work", json!({}))]), &json!([]));
    let all = bodies(0, 5000);
    List::on(&group.primary, "work".to_owned()).push(&all);
    let mut daemon = world.start();
    wait_until("work to flow", LONG_PATIENCE, || world.ledger_len() > 1000);
    group.hand_over();
    group.wait_promoted();
    daemon.wait_log("messages that producers pushed last may be lost");
    List::on(&group.replica, "work".to_owned()).wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().missing(&all), [""; 0]);
}

/// Sentinels, primary and replica with TLS on all ways between them; a failover in the middle.
#[test]
fn a_failover_is_followed_where_everything_speaks_tls() {
    let certificates = tempfile::tempdir().unwrap();
    certificate(certificates.path());
    let Some(group) = Sentinels::secured(certificates.path()) else {
        return;
    };
    let world = World::new(settings(&group.url()));
    world.partition("script1", &json!([entry("work", json!({}))]), &json!([]));
    let run = || {
        let mut command = world.command(&["run"]);
        command.env("SSL_CERT_FILE", certificates.path().join("cert.pem"));
        command
    };
    let mut distrustful = world.start();
    let said = distrustful.wait_log("redis `default` is away");
    assert!(said.to_lowercase().contains("certificate"), "{said}");
    distrustful.stop();

    let all = bodies(0, 3000);
    List::on(&group.primary, "work".to_owned()).push(&all);
    let mut daemon = Daemon::spawn(run(), &world.path("trusting.err"));
    wait_until("work to flow", LONG_PATIENCE, || world.ledger_len() > 500);
    group.hand_over();
    group.wait_promoted();
    daemon.wait_log("messages that producers pushed last may be lost");
    List::on(&group.replica, "work".to_owned()).wait_empty();
    let log = daemon.log();
    assert_eq!(
        count(&log, "messages that producers pushed last may be lost"),
        1,
        "{log}"
    );
    daemon.stop();
    assert_eq!(world.ledger().missing(&all), [""; 0]);
}

/// The output of `check --online` about a server with this address.
fn checked(url: &str) -> Value {
    let world = World::new(settings(url));
    world.partition("script1", &json!([entry("work", json!({}))]), &json!([]));
    let output = world.run(&["check", "--online", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let servers = report["online"].as_array().unwrap();
    let redis = servers.iter().find(|server| server["kind"] == "redis");
    let redis = redis.unwrap().clone();
    assert_eq!(
        output.status.code(),
        Some(i32::from(redis["problem"].is_string())),
        "{redis}"
    );
    redis
}

#[test]
fn what_is_wrong_with_sentinels_is_reported_by_check_and_by_the_log() {
    let Some(group) = Sentinels::dedicated() else {
        return;
    };
    let hosts = group.hosts();
    let found = checked(&group.url());
    let (primary, shown) = (group.primary.port(), group.url());
    assert_eq!(found["note"], format!("the primary is 127.0.0.1:{primary}"));
    assert_eq!(
        (&found["address"], &found["reached"]),
        (&json!(shown), &json!(true))
    );
    assert_eq!(found["queues"][0]["waiting"], 0);
    // As go-redis writes it; one of them need not be there.
    let go = format!(
        "redis://127.0.0.1:1/0?master_name={SERVICE}&addr={}",
        hosts[1]
    );
    assert_eq!(
        checked(&go)["note"],
        format!("the primary is 127.0.0.1:{primary}")
    );

    let plain = Redis::url(&group.primary)
        .replace("redis://", "")
        .replace("/0", "");
    for (url, wanted) in [
        (
            "redis+sentinel://127.0.0.1:1,127.0.0.1:2/orders/0".to_owned(),
            "none of its Sentinels can be reached (127.0.0.1:1: ".to_owned(),
        ),
        (
            format!("redis+sentinel://{}/other/0", hosts[0]),
            format!(
                "the Sentinel {} does not know the service `other`; it knows `orders`",
                hosts[0]
            ),
        ),
        (
            format!("redis+sentinel://{plain}/orders/0"),
            format!("{plain} is no Sentinel; the addresses in `url` must be those of Sentinels"),
        ),
        (
            format!("redis+sentinel://user:wrong@{}/orders/0", hosts[0]),
            "Password authentication failed - AuthenticationFailed; user or password in `url` are wrong"
                .to_owned(),
        ),
        (
            format!(
                "redis+sentinel://{}/orders/0?sentinel_username=u&sentinel_password=wrong",
                hosts[0]
            ),
            format!("the Sentinel {} lets nobody in: ", hosts[0]),
        ),
        (
            format!("redis://{}/0", hosts[0]),
            "it is a Sentinel, which keeps no lists; `redis+sentinel://".to_owned(),
        ),
    ] {
        let found = checked(&url);
        let said = found["problem"].as_str().unwrap_or_default();
        assert!(
            said.contains(&wanted) && !said.contains("wrong@"),
            "{url}: {found}"
        );
    }

    let world = World::new(settings(&format!("redis+sentinel://{}/other/0", hosts[0])));
    world.partition("script1", &json!([entry("work", json!({}))]), &json!([]));
    let mut daemon = world.start();
    let said = daemon.wait_log("redis `default` is away");
    assert!(said.contains("does not know the service `other`"), "{said}");
    daemon.stop();
}
