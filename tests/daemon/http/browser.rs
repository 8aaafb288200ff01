//! Orders of pages in a real browser: only those of our own pages are done.

use fantoccini::Locator;
use fantoccini::error::CmdError;
use serde_json::json;

use super::{address, world};
use crate::browser::Browser;
use crate::process::Daemon;
use crate::servers::recorder::{Behaviour, Recorder};

const ORDER: &str = "/api/v1/queues/work/lag-check";
const DONE: &str = "queue `work`: LagCheck, ordered by 127.0.0.1";

/// A page with the form of an order.
fn form(target: &str) -> String {
    format!(r#"<form method="post" action="{target}"><button>order</button></form>"#)
}

/// What the window shows after its only button was pressed.
async fn press(page: &fantoccini::Client) -> Result<String, CmdError> {
    page.find(Locator::Css("button")).await?.click().await?;
    let answer = page.wait().for_element(Locator::Css("pre, main")).await?;
    answer.text().await
}

/// Orders by a form of the page at this address, by pressing its button.
fn by_form(browser: &Browser, at: &str) -> String {
    browser.run(async |page| {
        page.goto(at).await?;
        press(page).await
    })
}

/// The form of a page of our own: there is none yet, so one is put into an answer of the port.
fn by_own_form(browser: &Browser, origin: &str) -> String {
    browser.run(async |page| {
        page.goto(&format!("{origin}/api/v1/openapi.json")).await?;
        let put = "document.body.innerHTML = arguments[0]";
        page.execute(put, vec![json!(form(ORDER))]).await?;
        press(page).await
    })
}

/// The status that a script of the page at this address gets; 0 where the browser shows it none.
fn by_script(browser: &Browser, at: &str, target: &str) -> u64 {
    let post = "const [target, done] = arguments;
        fetch(target, { method: 'POST', mode: 'no-cors', body: '{}' }).then(it => done(it.status), () => done(-1))";
    browser.run(async |page| {
        page.goto(at).await?;
        let status = page.execute_async(post, vec![json!(target)]).await?;
        Ok(status.as_u64().unwrap_or_else(|| panic!("{status}")))
    })
}

fn done(daemon: &Daemon) -> usize {
    daemon.log().matches(DONE).count()
}

#[test]
fn a_form_or_script_of_another_page_orders_nothing_and_our_own_does() {
    // A name is no trustworthy origin over plain HTTP: the browser sends `Origin` alone, and to the address
    // `Sec-Fetch-Site` too.
    let world = world(json!({ "hosts": ["script.test"] }));
    let Some(browser) = Browser::start(&world) else {
        return;
    };
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let port = address.rsplit(':').next().unwrap().to_owned();
    let origins = [
        format!("http://{address}"),
        format!("http://script.test:{port}"),
    ];
    for own in &origins {
        let target = format!("{own}{ORDER}");
        let page = format!("<!doctype html>{}", form(&target));
        let other = Recorder::answering(Behaviour::ok(&page));
        // Another port of this address is the same site, and another origin; the name is another site.
        let by_address = other.url("/");
        let by_name = by_address.replace("127.0.0.1", "other.test");
        for at in [by_address, by_name] {
            let answer = by_form(&browser, &at);
            assert!(
                answer.contains("did not come from this port's own page"),
                "{at} to {own}: {answer}"
            );
            assert_eq!(by_script(&browser, &at, &target), 0, "{at} to {own}");
        }
    }
    assert_eq!(done(&daemon), 0);
    for own in &origins {
        let answer = by_own_form(&browser, own);
        assert!(
            answer.contains(r#""ordered":"lag-check""#),
            "{own}: {answer}"
        );
        let at = format!("{own}/api/v1/openapi.json");
        assert_eq!(by_script(&browser, &at, ORDER), 202, "{own}");
    }
    assert_eq!(done(&daemon), 4);
    daemon.stop();
}
