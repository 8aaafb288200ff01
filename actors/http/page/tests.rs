//! The pages in this process: what they show of hostile names, in both languages, below a base path, and how long they take.

mod dead_links;
mod pauses;
mod runs;
mod single;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HOST};
use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::super::guard::Entrance;
use super::super::routes::Asked;
use super::super::tests::{config, config_of};
use super::super::{HttpConfig, serve};
use crate::config::HttpSettings;
use crate::stop::StopSignal;
use crate::testing_support::TestDb;

/// What came back.
struct Shown {
    status: StatusCode,
    headers: header::HeaderMap,
    text: String,
}

impl Shown {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

async fn ask(config: &Arc<HttpConfig>, request: TestRequest) -> Shown {
    let stop = StopSignal::new();
    let asked = Asked {
        config: Arc::clone(config),
        stop: stop.listen(),
    };
    let app = init_service(serve::app(asked, Entrance::Port)).await;
    let request = request
        .insert_header((HOST, "localhost"))
        .insert_header((header::ACCEPT, "text/html"));
    let answer = call_service(&app, request.to_request()).await;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
    Shown {
        status,
        headers,
        text,
    }
}

async fn get(config: &Arc<HttpConfig>, uri: &str) -> Shown {
    ask(config, TestRequest::get().uri(uri)).await
}

const HOSTILE: &str = "<script>alert('队列')</script>\"&";

#[actix_rt::test]
async fn hostile_names_and_errors_are_text() {
    let db = TestDb::start();
    let config = super::super::tests::config_with(&db, HOSTILE);
    let name = super::visit::query(&[("name", HOSTILE)]);
    let long = "x".repeat(50_000);
    for uri in [
        "/".to_owned(),
        "/queues".to_owned(),
        format!("/queues{}", super::visit::query(&[("q", HOSTILE)])),
        format!("/queue{name}"),
        format!("/queue{}", super::visit::query(&[("name", "<script>x")])),
        format!("/queues{}", super::visit::query(&[("q", &long)])),
        "/?%3Cscript%3E=1&answer=%3Cscript%3E".to_owned(),
    ] {
        let shown = get(&config, &uri).await;
        assert!(!shown.text.contains("<script>"), "{uri}: {}", shown.text);
        assert!(!shown.text.contains("alert('"), "{uri}");
        assert!(shown.text.len() < 50_000, "{uri}: {}", shown.text.len());
    }
    let shown = get(&config, &format!("/queue{name}")).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.text.contains("&#60;script&#62;alert(&#39;队列&#39;)"));
}

#[test]
fn templates_escape_everything_and_have_no_inline_scripts_or_styles() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/actors/http/page");
    let mut templates = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "html") {
            continue;
        }
        templates += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for part in [
            "|safe",
            "| safe",
            "style=",
            " on",
            "javascript:",
            "autoescape",
        ] {
            let found = text.match_indices(part).any(|(at, _)| {
                let after = text[at + part.len()..].split(['=', ' ', '>', '\n']).next();
                part != " on"
                    || after.is_some_and(|name| {
                        ["click", "load", "error", "submit", "change"].contains(&name)
                    })
            });
            assert!(!found, "{}: {part}", path.display());
        }
        // The focus goes through a page as it is read.
        for order in text.split("tabindex=\"").skip(1) {
            let natural = order.starts_with("0\"") || order.starts_with("-1\"");
            assert!(natural, "{}", path.display());
        }
        for script in text.split("<script").skip(1) {
            assert!(script.starts_with(" defer src="), "{}", path.display());
        }
    }
    assert!(templates > 4, "{templates}");
}

#[actix_rt::test]
async fn pages_are_in_the_chosen_language() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let chinese = TestRequest::get()
        .uri("/")
        .insert_header((header::ACCEPT_LANGUAGE, "zh-CN"));
    let shown = ask(&config, chinese).await;
    assert!(shown.text.contains("<html lang=\"zh\">") && shown.text.contains("当前问题"));
    let shown = get(&config, "/").await;
    assert!(shown.text.contains("<html lang=\"en\">") && shown.text.contains("What is wrong"));
    assert!(shown.headers.get(header::SET_COOKIE).is_none());
    let shown = get(&config, "/?lang=zh").await;
    assert!(shown.text.contains("当前问题"));
    let cookie = shown.header(header::SET_COOKIE);
    assert!(cookie.starts_with("language=zh; Path=/;"), "{cookie}");
}

#[actix_rt::test]
async fn all_links_are_below_the_base_path() {
    let db = TestDb::start();
    let settings = HttpSettings {
        base_path: "/scripts".to_owned(),
        ..HttpSettings::default()
    };
    let config = config(&db, 1, settings);
    for uri in [
        "/scripts",
        "/scripts/",
        "/scripts/queues",
        "/scripts/queue?name=queue+0",
    ] {
        let shown = get(&config, uri).await;
        assert_eq!(shown.status, StatusCode::OK, "{uri}");
        for attribute in ["href=\"", "src=\"", "action=\"", "data-history=\""] {
            for link in shown.text.split(attribute).skip(1) {
                assert!(
                    link.starts_with("/scripts/") || link.starts_with('#'),
                    "{uri}: {}",
                    &link[..40]
                );
            }
        }
    }
    assert_eq!(get(&config, "/").await.status, StatusCode::NOT_FOUND);
}

#[actix_rt::test]
async fn scripts_and_styles_are_kept_and_pages_are_not() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let shown = get(&config, "/").await;
    let kept = |shown: &Shown| shown.header(header::CACHE_CONTROL).to_owned();
    assert_eq!(kept(&shown), "no-store");
    let script = shown
        .text
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let asset = get(&config, script).await;
    assert_eq!(asset.status, StatusCode::OK);
    assert_eq!(kept(&asset), "public, max-age=31536000, immutable");
    assert!(asset.headers.get("x-content-type-options").is_some());
    let old = get(&config, "/assets/0000/page.js").await;
    assert_eq!(
        (old.status, kept(&old)),
        (StatusCode::NOT_FOUND, "no-store".to_owned())
    );
}

fn order(uri: &str, form: &[(&str, &str)]) -> TestRequest {
    TestRequest::post()
        .uri(uri)
        .insert_header(("sec-fetch-site", "same-origin"))
        .set_form(form)
}

#[actix_rt::test]
async fn an_order_leads_back_and_says_what_was_done() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let form = [
        ("kind", "queue"),
        ("name", "queue 0"),
        ("back", "/queue?name=queue+0"),
    ];
    let shown = ask(&config, order("/pause", &form)).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER);
    let location = shown.header(header::LOCATION);
    assert!(
        location.starts_with("/queue?name=queue+0&answer="),
        "{location}"
    );
    let pauses = config.db.reader().pauses("dev").await.unwrap();
    assert_eq!(pauses.len(), 1);
    assert_eq!(
        (pauses[0].kind.as_str(), pauses[0].name.as_str()),
        ("queue", "queue 0")
    );
    let evil = [("kind", "delay"), ("back", "//evil.example")];
    let shown = ask(&config, order("/pause", &evil)).await;
    let location = shown.header(header::LOCATION);
    assert!(location.starts_with("/?answer="), "{location}");
}

#[actix_rt::test]
async fn a_refused_order_is_a_page_for_a_browser() {
    let db = TestDb::start();
    let settings = HttpSettings {
        read_only: true,
        ..HttpSettings::default()
    };
    let config = config(&db, 1, settings);
    let form = [("kind", "delay"), ("back", "/")];
    let shown = ask(&config, order("/pause", &form)).await;
    assert_eq!(shown.status, StatusCode::FORBIDDEN);
    assert!(
        shown.text.contains("this port is read-only"),
        "{}",
        shown.text
    );
    assert!(config.db.reader().pauses("dev").await.unwrap().is_empty());
    let shown = get(&config, "/queue?name=queue+0").await;
    assert!(
        shown.text.contains("it refuses every order") && shown.text.contains("<button disabled")
    );
    let foreign = TestRequest::post()
        .uri("/pause")
        .insert_header(("sec-fetch-site", "cross-site"))
        .set_form(form);
    let open = config_of(&db, 1, 3, HttpSettings::default());
    let shown = ask(&open, foreign).await;
    assert_eq!(shown.status, StatusCode::FORBIDDEN);
    assert!(shown.text.contains("did not come from this port"));
}

#[actix_rt::test]
async fn every_daemon_is_listed_with_its_version() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let row = |owner: &str, version: &str| {
        let now = crate::clock::now_ms();
        db.sql(&format!(
            "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms, version)
             VALUES ('{owner}', 'p', 'h', 1, 1, {now}, {now}, 60000, {version})"
        ));
    };
    row("script1/b", "'7.8.9'");
    row("script2/c", "'7.8.10'");
    row("script3/d", "NULL");
    let shown = get(&config, "/").await;
    let (_, daemons) = shown.text.split_once("id=\"daemons\"").unwrap();
    let line = |partition: &str| {
        let (_, line) = daemons
            .split_once(&format!("<th scope=\"row\">{partition}"))
            .unwrap();
        line.split("</tr>").next().unwrap()
    };
    assert!(line("script1").contains("this one") && line("script1").contains(">7.8.9</td>"));
    assert!(!line("script2").contains("this one") && line("script2").contains(">7.8.10</td>"));
    assert!(line("script3").contains(">–</td>"), "{}", line("script3"));
    let listed = ask(&config, TestRequest::get().uri("/api/v1/daemons")).await;
    let listed: serde_json::Value = serde_json::from_str(&listed.text).unwrap();
    let versions: Vec<&serde_json::Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["version"])
        .collect();
    assert_eq!(
        versions,
        ["7.8.9".into(), "7.8.10".into(), serde_json::Value::Null]
            .iter()
            .collect::<Vec<_>>()
    );
}

/// A build without optimisation, and a machine that builds something else.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 5 } else { 1 };

#[actix_rt::test]
async fn a_thousand_queues_and_cron_entries_are_shown_within_the_aim() {
    let db = TestDb::start();
    let config = config_of(&db, 1000, 1000, HttpSettings::default());
    for uri in ["/", "/queues", "/queues?q=99", "/queue?name=queue+999"] {
        let mut best = Duration::MAX;
        let mut bytes = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            let shown = get(&config, uri).await;
            best = best.min(begun.elapsed());
            assert_eq!(shown.status, StatusCode::OK, "{uri}");
            bytes = shown.text.len();
        }
        println!("{uri}: {} kB in {best:?}", bytes / 1000);
        assert!(
            best < Duration::from_millis(200) * UNOPTIMISED,
            "{uri}: {best:?}"
        );
    }
}
