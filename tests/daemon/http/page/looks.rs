//! How the pages look: in each language, light and dark, on a phone, for people who cannot see them.

use std::fs;
use std::path::PathBuf;

use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::http::layout;

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
