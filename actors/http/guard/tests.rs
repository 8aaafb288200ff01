//! Who may read and order, by the headers of a request.

use actix_web::http::header::AUTHORIZATION;
use base64::prelude::{BASE64_STANDARD, Engine};

use super::credentials::MOST_USER;
use super::*;
use crate::config::Secret;

const TOKEN: (HeaderName, &str) = (AUTHORIZATION, "Bearer secret");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn rules(token: bool, read_only: bool) -> Rules {
    Rules {
        settings: Arc::new(HttpSettings {
            token: token.then(|| Secret::new("secret".to_owned())),
            read_only,
            ..HttpSettings::default()
        }),
        base_path: String::new(),
        entrance: Entrance::Port,
    }
}

fn judged(
    rules: &Rules,
    method: Method,
    path: &str,
    sent: &[(HeaderName, &'static str)],
) -> Result<Pass, Refused> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("localhost:7100"));
    for (name, value) in sent {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
    judge(rules, &method, path, &headers)
}

#[test]
fn every_request_needs_one_host_of_ours() {
    let rules = rules(false, false);
    let foreign = [(HOST, "evil.example")];
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let judged = judged(&rules, method, "/healthz", &foreign);
        assert_eq!(judged, Err(Refused::Host));
    }
    assert_eq!(
        judge(&rules, &Method::GET, "/", &HeaderMap::new()),
        Err(Refused::Host)
    );
    let mut twice = HeaderMap::new();
    twice.append(HOST, HeaderValue::from_static("localhost"));
    twice.append(HOST, HeaderValue::from_static("localhost"));
    assert_eq!(judge(&rules, &Method::GET, "/", &twice), Err(Refused::Host));
}

#[test]
fn an_order_needs_our_page_or_the_token() {
    let open = rules(false, false);
    let order = |rules: &Rules, sent: &[_]| judged(rules, Method::POST, "/api", sent);
    for (sent, allowed) in [
        (vec![], false),
        (vec![(SITE, "same-origin")], true),
        (vec![(SITE, "same-site")], false),
        (vec![(SITE, "cross-site")], false),
        (vec![(SITE, "none")], false),
        (vec![(ORIGIN, "http://localhost:7100")], true),
        (vec![(ORIGIN, "http://localhost:7101")], false),
        (vec![(ORIGIN, "http://evil.example")], false),
        (vec![(ORIGIN, "null")], false),
        // The newer header goes first.
        (
            vec![(SITE, "cross-site"), (ORIGIN, "http://localhost:7100")],
            false,
        ),
        (vec![TOKEN], false),
    ] {
        let wanted = if allowed {
            Ok(Pass::Order)
        } else {
            Err(Refused::Origin)
        };
        assert_eq!(order(&open, &sent), wanted, "{sent:?}");
    }
    let locked = rules(true, false);
    assert_eq!(order(&locked, &[TOKEN]), Ok(Pass::Order));
    assert_eq!(
        order(&locked, &[(SITE, "same-origin")]),
        Err(Refused::Token)
    );
}

#[test]
fn the_token_is_compared_whole_and_probes_need_none() {
    let locked = rules(true, false);
    let get = |path: &str, sent: &[_]| judged(&locked, Method::GET, path, sent);
    assert_eq!(get("/metrics", &[TOKEN]), Ok(Pass::Read));
    assert_eq!(
        get("/metrics", &[(AUTHORIZATION, "bearer secret")]),
        Ok(Pass::Read)
    );
    for wrong in [
        "Bearer secre",
        "Bearer secrets",
        "Bearer ",
        "Basic secret",
        "secret",
        "Bearer  secret",
    ] {
        assert_eq!(
            get("/metrics", &[(AUTHORIZATION, wrong)]),
            Err(Refused::Token),
            "{wrong}"
        );
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(get(probe, &[]), Ok(Pass::Probe));
        assert_eq!(
            judged(&locked, Method::POST, probe, &[]),
            Err(Refused::Token)
        );
    }
    assert_eq!(get("/api/v1/queues/readyz", &[]), Err(Refused::Token));
    assert_eq!(get("/x/readyz", &[]), Err(Refused::Token));
}

#[test]
fn a_password_reads_and_orders_from_our_own_page_only() {
    let locked = rules(true, false);
    let basic = |user_and_password: &str| {
        let encoded = BASE64_STANDARD.encode(user_and_password);
        let header: &'static str = format!("Basic {encoded}").leak();
        (AUTHORIZATION, header)
    };
    let of = |method, sent: &[_]| judged(&locked, method, "/", sent);
    for (sent, read) in [
        ("ann:secret", Ok(Pass::Read)),
        (":secret", Ok(Pass::Read)),
        ("secret", Err(Refused::Token)),
        ("secret:", Err(Refused::Token)),
        ("ann:secrets", Err(Refused::Token)),
        ("ann:b:secret", Err(Refused::Token)),
    ] {
        assert_eq!(of(Method::GET, &[basic(sent)]), read, "{sent}");
    }
    let password = basic("ann:secret");
    let order = |sent: &[_]| of(Method::POST, sent);
    assert_eq!(order(std::slice::from_ref(&password)), Err(Refused::Origin));
    assert_eq!(
        order(&[password.clone(), (SITE, "cross-site")]),
        Err(Refused::Origin)
    );
    assert_eq!(order(&[password, (SITE, "same-origin")]), Ok(Pass::Order));
}

#[test]
fn a_users_name_is_one_short_line() {
    let mut headers = HeaderMap::new();
    assert_eq!(user_name(&headers), None);
    for (user, name) in [
        ("ann", Some("ann".to_owned())),
        ("", None),
        ("a\r\nb", Some("ab".to_owned())),
        (&"x".repeat(99), Some("x".repeat(MOST_USER))),
    ] {
        let encoded = BASE64_STANDARD.encode(format!("{user}:secret"));
        let value = HeaderValue::from_str(&format!("Basic {encoded}")).unwrap();
        headers.insert(AUTHORIZATION, value);
        assert_eq!(user_name(&headers), name);
    }
}

#[test]
fn read_only_refuses_orders_and_nothing_else() {
    let rules = rules(true, true);
    assert_eq!(
        judged(&rules, Method::GET, "/metrics", &[TOKEN]),
        Ok(Pass::Read)
    );
    let order = judged(&rules, Method::POST, "/api", &[TOKEN]);
    assert_eq!(order, Err(Refused::ReadOnly));
}

#[test]
fn the_socket_needs_no_token() {
    let rules = Rules {
        entrance: Entrance::Socket,
        ..rules(true, false)
    };
    assert_eq!(judged(&rules, Method::GET, "/metrics", &[]), Ok(Pass::Read));
    assert_eq!(judged(&rules, Method::POST, "/api", &[]), Ok(Pass::Order));
}
