//! Who may not ask, and who may not order.

use std::io::{Read, Write};

use serde_json::json;

use super::client::{Answer, ask_with, get};
use super::{address, world};
use crate::wait::{PATIENCE, wait_until};

const ORDER: &str = "/api/v1/queues/work/lag-check";

fn order(address: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("Host", address)], headers].concat();
    ask_with(address, "POST", ORDER, &headers)
}

#[test]
fn a_foreign_host_is_refused_on_every_request() {
    let world = world(json!({ "hosts": ["script.example.com"] }));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/state",
        "/nothing",
    ] {
        let foreign = ask_with(&address, "GET", path, &[("Host", "evil.example")]);
        assert_eq!(foreign.status, 421, "{path}");
        assert!(foreign.body.contains("http.hosts"), "{}", foreign.body);
    }
    let rebound = ask_with(
        &address,
        "GET",
        "http://evil.example/metrics",
        &[("Host", &address)],
    );
    assert_eq!(rebound.status, 421);
    let two = [("Host", "localhost"), ("Host", "evil.example")];
    assert!(ask_with(&address, "GET", "/metrics", &two).status >= 400);
    assert!(ask_with(&address, "GET", "/metrics", &[]).status >= 400);
    for host in [
        &*address,
        "localhost:7100",
        "a.localhost",
        "nas.local",
        "Script.Example.com:80",
    ] {
        let own = ask_with(&address, "GET", "/metrics", &[("Host", host)]);
        assert_eq!(own.status, 200, "{host}");
    }
    daemon.stop();
}

#[test]
fn an_order_from_another_page_is_refused_and_one_of_our_own_is_done() {
    let world = world(json!({}));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let own = format!("http://{address}");
    for headers in [
        &[][..],
        &[("Origin", "null")],
        &[("Origin", "http://evil.example")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
        &[("Authorization", "Bearer none is set")],
    ] {
        let refused = order(&address, headers);
        assert_eq!(refused.status, 403, "{headers:?}: {}", refused.body);
    }
    assert!(!daemon.log().contains("LagCheck, ordered by"));
    for headers in [&[("Origin", &*own)], &[("Sec-Fetch-Site", "same-origin")]] {
        assert_eq!(order(&address, headers).status, 202, "{headers:?}");
    }
    daemon.wait_log("queue `work`: LagCheck, ordered by 127.0.0.1");
    // Reading needs nothing of the kind, and a page of another site cannot read what it is answered.
    let read = ask_with(
        &address,
        "GET",
        "/api/v1/state",
        &[("Host", &address), ("Origin", "null")],
    );
    assert_eq!(read.status, 200);
    assert!(!read.head.contains("access-control-allow-origin"));
    daemon.stop();
}

#[test]
fn with_a_token_nothing_is_read_or_ordered_without_it() {
    let world = world(json!({ "token": "geheim" }));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let with = |sent: &str| {
        let headers = [("Host", &*address), ("Authorization", sent)];
        ask_with(&address, "GET", "/api/v1/state", &headers).status
    };
    let missing = get(&address, "/api/v1/state");
    assert_eq!(missing.status, 401);
    assert!(missing.head.contains("www-authenticate: bearer"));
    for wrong in ["Bearer gehei", "Bearer geheime", "Basic geheim", "geheim"] {
        assert_eq!(with(wrong), 401, "{wrong}");
    }
    assert_eq!(with("Bearer geheim"), 200);
    assert_eq!(
        order(&address, &[("Sec-Fetch-Site", "same-origin")]).status,
        401
    );
    // A program has no page; the token is enough.
    assert_eq!(
        order(&address, &[("Authorization", "Bearer geheim")]).status,
        202
    );
    assert_eq!(get(&address, "/healthz").status, 200, "probes need none");
    wait_until("readiness", PATIENCE, || {
        get(&address, "/readyz").status == 200
    });
    assert!(!daemon.log().contains("geheim"));
    daemon.stop();
}

#[test]
fn read_only_refuses_orders_and_nothing_else() {
    let world = world(json!({ "read_only": true, "token": "geheim" }));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let token = ("Authorization", "Bearer geheim");
    let refused = order(&address, &[token]);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("http.read_only"), "{}", refused.body);
    let read = ask_with(
        &address,
        "GET",
        "/api/v1/queues",
        &[("Host", &address), token],
    );
    assert_eq!(read.status, 200);
    daemon.stop();
}

#[test]
fn answers_carry_the_headers_that_browsers_obey() {
    let world = world(json!({ "base_path": "/scripts/" }));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    assert_eq!(get(&address, "/healthz").status, 404, "it is elsewhere");
    for (path, status) in [("/scripts/healthz", 200), ("/scripts/nothing", 404)] {
        let answer = get(&address, path);
        assert_eq!(answer.status, status);
        for header in [
            "content-security-policy: default-src 'self'",
            "referrer-policy: same-origin",
            "x-content-type-options: nosniff",
        ] {
            assert!(answer.head.contains(header), "{header} in {}", answer.head);
        }
    }
    daemon.stop();
}

/// The status of whatever is answered to these bytes.
fn status_of(address: &str, request: &str) -> u16 {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be cut off while it still sends.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn a_large_head_or_body_is_not_taken() {
    const MOST_BODY: usize = 64 << 10;
    const MOST_HEAD: usize = 128 << 10;

    let world = world(json!({}));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let host = format!("Host: {address}\r\n");
    let with_cookie = |bytes: usize| {
        let cookie = "x".repeat(bytes);
        format!("GET /healthz HTTP/1.1\r\n{host}Cookie: {cookie}\r\n\r\n")
    };
    assert_eq!(status_of(&address, &with_cookie(4 << 10)), 200);
    // As long as a head may be, and not at its end.
    let endless = format!("GET /healthz HTTP/1.1\r\n{host}Cookie: ");
    let endless = format!("{endless}{}", "x".repeat(MOST_HEAD - endless.len()));
    assert_eq!(status_of(&address, &endless), 431);
    // An order that is taken, and the same with a byte too many: it is refused by its length, before the body comes.
    let order = |bytes: usize, body: &str| {
        format!(
            "POST {ORDER} HTTP/1.1\r\n{host}Sec-Fetch-Site: same-origin\r\nContent-Length: {bytes}\r\n\r\n{body}"
        )
    };
    let body = "x".repeat(MOST_BODY);
    assert_eq!(status_of(&address, &order(MOST_BODY, &body)), 202);
    assert_eq!(status_of(&address, &order(MOST_BODY + 1, "")), 413);
    assert_eq!(daemon.log().matches("LagCheck, ordered by").count(), 1);
    assert_eq!(get(&address, "/healthz").status, 200);
    daemon.stop();
}

#[test]
fn a_head_is_answered_as_a_get_without_its_body() {
    let world = world(json!({ "token": "geheim" }));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let headers = [("Host", &*address), ("Authorization", "Bearer geheim")];
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/state",
        "/api/v1/openapi.json",
        "/api/v1/queues/other",
    ] {
        let get = ask_with(&address, "GET", path, &headers);
        let head = ask_with(&address, "HEAD", path, &headers);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, "", "{path}");
        assert!(head.head.contains("content-length: "), "{}", head.head);
    }
    assert_eq!(
        ask_with(&address, "HEAD", "/metrics", &headers[..1]).status,
        401
    );
    assert_eq!(ask_with(&address, "HEAD", ORDER, &headers).status, 404);
    daemon.stop();
}

#[test]
fn a_taken_port_is_one_warning_and_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let world = crate::world::World::new(json!({ "http": { "listen": address } }));
    let mut daemon = world.start();
    daemon.wait_log("cannot be listened on");
    drop(taken);
    daemon.wait_log("http: listening on");
    assert_eq!(get(&address, "/healthz").status, 200);
    assert_eq!(daemon.log().matches("cannot be listened on").count(), 1);
    daemon.stop();
}
