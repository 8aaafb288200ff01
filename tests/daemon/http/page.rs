//! The page in a real browser: its buttons and what they change, names that nobody would choose, and what a browser
//! reports.

use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::visited::Visited;
use super::{address, layout};
use crate::browser::Browser;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// Quotes, Chinese, HTML, and what URLs are made of.
const QUEUE: &str = "orders \"队列\" <script>alert(1)</script> &a=b/../#";
const ENTRY: &str = "报表 'daily' <img src=x onerror=alert(1)>";
/// Never fires in a test.
const YEARLY: &str = "0 0 0 1 1 *";

/// A command of the driver that is not in the standard.
#[derive(Debug)]
struct Special {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Special {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

pub type Steps<T> = Result<T, fantoccini::error::CmdError>;

/// A method of the DevTools protocol.
pub async fn devtools(page: &Client, method: &str, params: Value) -> Steps<Value> {
    let body = json!({ "cmd": method, "params": params });
    let path = "goog/cdp/execute";
    page.issue_cmd(Special { path, body }).await
}

/// What the browser has reported since it was asked last: errors of scripts, files that did not load, breaches of the
/// policy.
async fn reports(page: &Client) -> Steps<Vec<String>> {
    let body = json!({ "type": "browser" });
    let entries = page
        .issue_cmd(Special {
            path: "se/log",
            body,
        })
        .await?;
    let entries = entries.as_array().cloned().unwrap_or_default();
    let texts = entries.iter().filter(|entry| entry["level"] == "SEVERE");
    Ok(texts.map(|entry| entry["message"].to_string()).collect())
}

fn world(http: Value) -> World {
    let mut http = http;
    http["listen"] = json!("127.0.0.1:0");
    let world = World::new(json!({ "http": http, "heartbeat_interval": "300ms" }));
    let queues = json!([{
        "name": QUEUE, "exec_cmd": "ledger", "table": "work", "progress": 2, "max_progress": 4, "max_attempts": 1,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    let entry = |name: &str, special: Value| {
        let mut entry = json!({
            "cron": YEARLY, "name": name, "exec_cmd": "ledger", "params": "its own", "status": 1, "is_log": 1,
        });
        let special = special.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(special);
        entry
    };
    let crontab = json!([
        entry(ENTRY, json!({})),
        entry("ticks", json!({ "cron": "* * * * * *" })),
        entry("elsewhere", json!({ "status": 4 })),
    ]);
    world.partition("script1", &queues, &crontab);
    world
}

/// None where there is no browser.
fn visited(http: Value) -> Option<Visited> {
    Visited::of(world(http))
}

/// Opens a page and follows the link of this text.
async fn follow(page: &Client, at: &str, text: &str) -> Steps<()> {
    page.goto(at).await?;
    page.find(Locator::LinkText(text)).await?.click().await
}

/// Presses the button that has this text, and waits for the sentence about its result.
pub async fn press(page: &Client, text: &str) -> Steps<String> {
    let clear = "document.getElementById('flash').replaceChildren()";
    page.execute(clear, Vec::new()).await?;
    let button = format!(
        "//main//button[normalize-space()='{text}'] | //main//summary[normalize-space()='{text}']"
    );
    page.wait()
        .for_element(Locator::XPath(&button))
        .await?
        .click()
        .await?;
    let really = "//main//details[@open]//button";
    if let Ok(second) = page.find(Locator::XPath(really)).await {
        second.click().await?;
    }
    let note = page.wait().for_element(Locator::Css("#flash .note")).await;
    match note {
        Ok(note) => note.text().await,
        Err(cause) => {
            let shown = page.find(Locator::Css("body")).await?.text().await?;
            panic!("no answer to `{text}` ({cause}); the page shows {shown}")
        }
    }
}

#[test]
fn the_buttons_of_a_queue_do_what_they_say() {
    let Some(Visited {
        world,
        browser,
        daemon,
        origin,
    }) = visited(json!({}))
    else {
        return;
    };
    let mut database = world.database();
    let mut paused =
        || database.number("SELECT COUNT(*) FROM pause WHERE until_ms IS NULL AND kind = 'queue'");
    let said = browser.run(async |page| {
        follow(page, &origin, QUEUE).await?;
        press(page, "Pause").await
    });
    assert!(said.starts_with("Paused: queue `orders"), "{said}");
    assert_eq!(paused(), 1);
    // What comes now waits, until the other button is pressed.
    world.send(QUEUE, &["one".to_owned()]);
    let said = browser.run(async |page| press(page, "Resume").await);
    assert!(said.starts_with("Resumed: queue `orders"), "{said}");
    assert_eq!(paused(), 0);
    wait_until("the message is handled", PATIENCE, || {
        world.ledger().of_body("one").len() == 1
    });
    let said = browser.run(async |page| press(page, "Check the lag now").await);
    assert!(said.starts_with("The lag is checked now"), "{said}");
    let line = format!("queue `{QUEUE}`: LagCheck, ordered by 127.0.0.1");
    assert!(daemon.log().contains(&line));
    let (title, reported) = browser.run(async |page| {
        let title = page.find(Locator::Css("h1")).await?.text().await?;
        Ok((title, reports(page).await?))
    });
    assert!(title.starts_with(QUEUE), "{title}");
    assert_eq!(reported, [""; 0]);
    daemon.stop();
}

#[test]
fn the_buttons_of_a_cron_entry_do_what_they_say() {
    let Some(Visited {
        world,
        browser,
        daemon,
        origin,
    }) = visited(json!({}))
    else {
        return;
    };
    let cron = format!("{origin}/cron");
    let said = browser.run(async |page| {
        follow(page, &cron, ENTRY).await?;
        let params = page.find(Locator::Css("summary")).await?;
        params.click().await?;
        page.find(Locator::Css("input[name=params]"))
            .await?
            .send_keys("hang")
            .await?;
        page.find(Locator::Css("details[open] button"))
            .await?
            .click()
            .await?;
        let note = page
            .wait()
            .for_element(Locator::Css("#flash .note"))
            .await?;
        note.text().await
    });
    assert!(said.starts_with("Ordered: run "), "{said}");
    let ledger = || {
        world
            .ledger()
            .lines
            .iter()
            .filter(|line| line.body == "hang")
            .count()
    };
    wait_until("the run hangs", PATIENCE, || ledger() == 1);
    let mut database = world.database();
    // Its own page has it, with the person who ordered it; its button ends it.
    let said = browser.run(async |page| {
        let run = page
            .wait()
            .for_element(Locator::XPath("//td[contains(., '127.0.0.1')]/..//a"))
            .await?;
        run.click().await?;
        press(page, "End the run").await
    });
    assert!(
        said.starts_with("Ordered: run ") && said.contains("ends"),
        "{said}"
    );
    wait_until("the run is ended", PATIENCE, || {
        database
            .number("SELECT COUNT(*) FROM cron_run WHERE state = 3 AND status = 'ended by order'")
            == 1
    });
    let (said, reported) = browser.run(async |page| {
        follow(page, &cron, ENTRY).await?;
        let said = press(page, "Pause").await?;
        Ok((said, reports(page).await?))
    });
    assert!(said.starts_with("Paused: cron `报表"), "{said}");
    assert_eq!(reported, [""; 0]);
    daemon.stop();
}

#[test]
fn why_an_entry_did_not_run_is_answered() {
    let Some(Visited {
        world,
        browser,
        daemon,
        origin,
    }) = visited(json!({}))
    else {
        return;
    };
    wait_until("the entry has run", PATIENCE, || world.ledger_len() > 2);
    let cron = format!("{origin}/cron");
    let ask = async |page: &Client, name: &str, at: &str| {
        follow(page, &cron, name).await?;
        let field = page.find(Locator::Css("input[name=at]")).await?;
        // Keys would be those of the browser's language.
        page.execute(
            "arguments[0].value = arguments[1]",
            vec![serde_json::to_value(&field)?, json!(at)],
        )
        .await?;
        page.find(Locator::XPath("//button[.='Find out']"))
            .await?
            .click()
            .await?;
        page.wait()
            .for_element(Locator::Css("#answer"))
            .await?
            .text()
            .await
    };
    for (name, at, answer) in [
        (ENTRY, "2026-06-01T03:00", "It was not due then."),
        (ENTRY, "2999-01-01T00:00", "That moment is ahead"),
        (
            "ticks",
            "2020-01-01T00:00",
            "was not made: the entry is live only since ",
        ),
    ] {
        let said = browser.run(async |page| ask(page, name, at).await);
        assert!(said.contains(answer), "{name} {at}: {said}");
    }
    daemon.stop();
}

#[test]
fn a_refused_order_is_reported_on_the_page() {
    let Some(Visited {
        world,
        browser,
        daemon,
        origin,
    }) = visited(json!({ "read_only": true }))
    else {
        return;
    };
    let (note, said) = browser.run(async |page| {
        follow(page, &origin, QUEUE).await?;
        let note = page
            .find(Locator::Css("body > .note:not([hidden])"))
            .await?
            .text()
            .await?;
        // Pressing it all the same gets the refusal from the order.
        let enable =
            "document.querySelectorAll('button').forEach(button => { button.disabled = false })";
        page.execute(enable, Vec::new()).await?;
        Ok((note, press(page, "Pause").await?))
    });
    assert!(note.contains("it refuses every order"), "{note}");
    assert!(
        said.starts_with("The order is refused: this port is read-only"),
        "{said}"
    );
    assert_eq!(world.database().number("SELECT COUNT(*) FROM pause"), 0);
    daemon.stop();
}

#[test]
fn a_page_refreshes_itself_and_says_when_the_daemon_is_gone() {
    // The browser's own files lie in the world's folder.
    let Some(Visited {
        world: _world,
        browser,
        daemon,
        origin,
    }) = visited(json!({}))
    else {
        return;
    };
    browser.run(async |page| {
        page.goto(&format!("{origin}/cron")).await?;
        page.execute("document.querySelector('h1').dataset.own = 1; document.querySelector('h1').textContent = 'x'", Vec::new()).await?;
        // The same element, with the text of the next answer.
        page.wait().for_element(Locator::XPath("//h1[contains(., 'Cron')]")).await.map(drop)
    });
    daemon.stop();
    let said = browser.run(async |page| {
        let note = page
            .wait()
            .for_element(Locator::Css("#silent:not([hidden])"))
            .await?;
        note.text().await
    });
    assert!(
        said.starts_with("No answer from the daemon since"),
        "{said}"
    );
}

/// How a page is viewed.
pub struct View {
    pub name: &'static str,
    pub language: &'static str,
    pub scheme: &'static str,
    pub width: u32,
}

const VIEWS: [View; 4] = [
    View {
        name: "light",
        language: "en",
        scheme: "light",
        width: 1280,
    },
    View {
        name: "dark",
        language: "en",
        scheme: "dark",
        width: 1280,
    },
    View {
        name: "phone",
        language: "en",
        scheme: "light",
        width: 390,
    },
    View {
        name: "chinese",
        language: "zh",
        scheme: "light",
        width: 1280,
    },
];

pub fn screenshots() -> PathBuf {
    let target = crate::world::ledger_program();
    let target = target
        .ancestors()
        .find(|path| path.ends_with("target"))
        .unwrap();
    let folder = target.join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The program that finds what people with screen readers, or without a mouse, cannot use.
fn axe() -> Option<String> {
    let target = crate::world::ledger_program();
    let target = target
        .ancestors()
        .find(|path| path.ends_with("target"))
        .unwrap();
    let script = fs::read_to_string(target.join("servers/axe-4.14.1/axe.min.js"));
    // With `CI` set too: nothing else of the tests needs npm, nor its registry.
    let missing = "LEFT OUT: axe-core, which npm has; `make axe` fetches it";
    script.inspect_err(|_| eprintln!("{missing}")).ok()
}

pub async fn show(page: &Client, view: &View, url: &str) -> Steps<()> {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": view.scheme }] });
    devtools(page, "Emulation.setEmulatedMedia", media).await?;
    let size = json!({ "width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": view.width < 500 });
    devtools(page, "Emulation.setDeviceMetricsOverride", size).await?;
    let mark = if url.contains('?') { '&' } else { '?' };
    page.goto(&format!("{url}{mark}lang={}", view.language))
        .await?;
    page.wait()
        .for_element(Locator::Css("main"))
        .await
        .map(drop)
}

/// What axe finds that is serious, or worse.
async fn found_by(axe: &str, page: &Client) -> Steps<Vec<String>> {
    page.execute(axe, Vec::new()).await?;
    let run = "axe.run().then(arguments[0], fault => arguments[0]({ violations: [{ impact: 'critical', id: String(fault), nodes: [] }] }))";
    let found = page.execute_async(run, Vec::new()).await?;
    let violations = found["violations"].as_array().cloned().unwrap_or_default();
    let serious = violations.iter().filter(|one| {
        ["serious", "critical"]
            .map(Value::from)
            .contains(&one["impact"])
    });
    Ok(serious
        .map(|one| format!("{}: {}", one["id"], one["nodes"][0]["html"]))
        .collect())
}

#[test]
fn all_pages_look_well_and_a_browser_reports_nothing() {
    let Some(Visited {
        world,
        browser,
        daemon,
        origin,
    }) = visited(json!({}))
    else {
        return;
    };
    let bodies = [
        "one",
        "fail:a",
        "fail:<script>alert(2)</script>",
        "panic:b",
        "hang",
    ]
    .map(str::to_owned);
    world.send(QUEUE, &bodies);
    wait_until("all have been called", PATIENCE, || world.ledger_len() >= 5);
    let later = ["push", "ledger", "--params", "later", "--delay-time", "600"];
    world.output(&later);
    let dead_letters = "SELECT COUNT(*) FROM dead_letter";
    wait_until("two dead letters", PATIENCE, || {
        world.database().number(dead_letters) > 1
    });
    let axe = axe();
    let mut urls = vec![
        ("now", format!("{origin}/")),
        ("queues", format!("{origin}/queues")),
        ("cron", format!("{origin}/cron")),
        ("delay", format!("{origin}/delay")),
        ("task", format!("{origin}/task?id=1")),
        ("dead", format!("{origin}/dead")),
        ("letter", format!("{origin}/letter?id=1")),
        ("purge", format!("{origin}/dead/confirm?do=purge&error=a")),
        ("audit", format!("{origin}/audit")),
    ];
    let (queue, entry) = browser.run(async |page| {
        page.goto(&urls[1].1).await?;
        let queue = page
            .find(Locator::Css("tbody th a"))
            .await?
            .prop("href")
            .await?
            .unwrap();
        page.goto(&urls[2].1).await?;
        let entry = page
            .find(Locator::LinkText("ticks"))
            .await?
            .prop("href")
            .await?
            .unwrap();
        Ok((queue, entry))
    });
    let run = browser.run(async |page| {
        page.goto(&entry).await?;
        let run = page
            .wait()
            .for_element(Locator::Css("#runs ~ .scroll tbody a"))
            .await?;
        Ok(run.prop("href").await?.unwrap())
    });
    urls.extend([("queue", queue), ("entry", entry), ("run", run)]);
    for (name, url) in &urls {
        for one in &VIEWS {
            let (reported, wide, found, faults) = browser.run(async |page| {
                show(page, one, url).await?;
                let taken = devtools(
                    page,
                    "Page.captureScreenshot",
                    json!({ "captureBeyondViewport": true }),
                )
                .await?;
                let bytes = BASE64_STANDARD
                    .decode(taken["data"].as_str().unwrap())
                    .unwrap();
                fs::write(
                    screenshots().join(format!("{name}-{}.png", one.name)),
                    bytes,
                )
                .unwrap();
                let wide = page
                    .execute(
                        "return document.documentElement.scrollWidth - innerWidth",
                        Vec::new(),
                    )
                    .await?;
                let found = match &axe {
                    Some(axe) => found_by(axe, page).await?,
                    None => Vec::new(),
                };
                let faults = layout::faults(page, one).await?;
                Ok((reports(page).await?, wide, found, faults))
            });
            let at = format!("{name}, {}", one.name);
            assert_eq!(reported, [""; 0], "{at}");
            assert!(
                wide.as_i64().unwrap() <= 0,
                "{at}: wider than the window by {wide}"
            );
            assert_eq!(found, [""; 0], "{at}");
            assert_eq!(faults, [""; 0], "{at}");
        }
    }
    // The reports are there where there is something to report.
    let reported = browser.run(async |page| {
        let breach = "const style = document.createElement('style'); style.textContent = 'p{}'; document.head.append(style)";
        page.execute(breach, Vec::new()).await?;
        reports(page).await
    });
    assert!(
        reported
            .iter()
            .any(|text| text.contains("Content Security Policy")),
        "{reported:?}"
    );
    daemon.stop();
}

/// From the click to the whole page, in milliseconds; a build without optimisation on a machine that builds something
/// else takes longer.
pub const SHOWN_MS: f64 = 500.0 * if cfg!(debug_assertions) { 5.0 } else { 1.0 };

/// How long a page took, in milliseconds.
pub struct Took {
    /// From the request to the last byte of the answer.
    pub server: f64,
    /// From the click to the whole page, with its scripts and styles.
    pub load: f64,
    /// From the click to the first thing that is seen; none where the browser does not say it.
    pub paint: Option<f64>,
}

impl Took {
    pub async fn of(page: &Client, url: &str) -> Steps<Self> {
        page.goto(url).await?;
        let timing = "const it = performance.getEntriesByType('navigation')[0];
            const paint = performance.getEntriesByName('first-paint')[0];
            return [it.responseEnd - it.requestStart, it.loadEventEnd, paint?.startTime ?? null]";
        let taken = page.execute(timing, Vec::new()).await?;
        let took = Self {
            server: taken[0].as_f64().unwrap(),
            load: taken[1].as_f64().unwrap(),
            paint: taken[2].as_f64(),
        };
        assert!(took.load > 0.0, "{url}: {taken}");
        Ok(took)
    }
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            server,
            load,
            paint,
        } = self;
        write!(f, "server {server:.0} ms, browser {load:.0} ms")?;
        paint.map_or(Ok(()), |paint| write!(f, ", first paint {paint:.0} ms"))
    }
}

#[test]
fn a_thousand_queues_and_cron_entries_are_shown_in_time() {
    let world = World::new(json!({ "http": { "listen": "127.0.0.1:0" } }));
    let queue = |n| {
        json!({
            "name": format!("queue {n}"), "exec_cmd": "ledger", "table": format!("t{n}"), "progress": 1, "max_attempts": 1,
            "progress_lag_limit": 1000, "progress_avg_msgcount": 1000, "status": 1,
        })
    };
    let entry = |n| {
        json!({
            "cron": YEARLY, "name": format!("entry {n}"), "exec_cmd": "ledger", "params": format!("{n}"), "status": 1,
        })
    };
    let queues: Vec<Value> = (0..1000).map(queue).collect();
    let entries: Vec<Value> = (0..1000).map(entry).collect();
    world.partition("script1", &json!(queues), &json!(entries));
    let Some(browser) = Browser::start(&world) else {
        return;
    };
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    for path in [
        "/",
        "/queues",
        "/queues?q=99",
        "/cron",
        "/queue?name=queue+999",
    ] {
        let url = format!("{origin}{path}");
        let took = browser.run(async |page| {
            // The first visit fetches scripts and styles.
            page.goto(&url).await?;
            Took::of(page, &url).await
        });
        println!("{path}: {took}");
        assert!(took.load < SHOWN_MS, "{path}: {took}");
    }
    daemon.stop();
}
