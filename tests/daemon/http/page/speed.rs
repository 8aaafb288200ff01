//! How long a page takes to come.

use super::*;
use crate::browser::Browser;
use crate::http::address;

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
