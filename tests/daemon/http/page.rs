//! The page in a real browser: its buttons and what they change, names that nobody would choose, and what a browser
//! reports.

pub mod looks;
pub mod speed;

use base64::prelude::Engine;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::visited::Visited;
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
