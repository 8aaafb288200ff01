//! The metrics, and the files for Prometheus and Grafana that name them.

use std::collections::BTreeSet;

use super::*;

/// A scrape of a thousand queues is to take no longer.
const SCRAPE: Duration = Duration::from_millis(50);

/// A build without optimisation takes 72 ms on two busy cores.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 3 } else { 1 };

#[actix_rt::test]
async fn a_thousand_queues_are_scraped_in_time() {
    let db = TestDb::start();
    // Of the thread and not of the clock on the wall: the machine may build something else. The best of some, as its
    // caches are others' too.
    for (entries, within) in [(3, SCRAPE), (1000, SCRAPE * 2)] {
        let config = config_of(&db, 1000, entries, HttpSettings::default());
        let mut best = Duration::MAX;
        let mut bytes = 0;
        for _ in 0..10 {
            let begun = thread_time();
            let get = TestRequest::get().uri("/metrics");
            let (status, body) = ask!(config, Entrance::Port, get);
            best = best.min(thread_time() - begun);
            assert_eq!(status, StatusCode::OK);
            bytes = body.len();
        }
        println!(
            "1,000 queues and {entries} cron entries: {} kB of metrics in {best:?}",
            bytes / 1000
        );
        assert!(best < within * UNOPTIMISED, "{entries}: {best:?}");
    }
}

/// CPU time of this thread, which does all of the work.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

#[actix_rt::test]
async fn each_series_is_there_once_whatever_things_are_called() {
    let db = TestDb::start();
    let config = config(&db, 2, HttpSettings::default());
    let text = metrics::text(&config).unwrap();
    for line in [
        "# TYPE simplest_script_queue_messages_total counter",
        "simplest_script_queue_messages_total{queue=\"queue 1\",outcome=\"completed\"} 0",
        "simplest_script_queue_lag{queue=\"queue 0\"} 11",
        "simplest_script_cron_fires_total{entry=\"report (k2)\",outcome=\"failed\"} 1",
        "simplest_script_cron_fires_total{entry=\"report (k1)\",outcome=\"failed\"} 1",
        "simplest_script_cron_fires_total{entry=\"report (k1)+\",outcome=\"failed\"} 1",
        "simplest_script_dead_letters 100001",
        "simplest_script_build_info{version=\"0\"} 1",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(line)),
            "{line}\n{}",
            &text[..3000]
        );
    }
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let distinct: BTreeSet<&&str> = series.iter().collect();
    assert_eq!(distinct.len(), series.len(), "each series once");
}

/// The names in a file of ours for Prometheus or Grafana, without the endings of a histogram's series.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let names = words.filter(|word| word.starts_with("simplest_script_"));
    names
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .filter(|name| name != "simplest_script_consumers_wanted")
        .collect()
}

#[actix_rt::test]
async fn rules_and_board_name_metrics_that_there_are() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    config.state.queues()[0].lag_checked(Some(1), false);
    config.state.cron()[0].ended("u", "success", "{}");
    let text = metrics::text(&config).unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    for file in [
        include_str!("../../../etc/prometheus/rules.yml"),
        include_str!("../../../etc/prometheus/rules_test.yml"),
        include_str!("../../../etc/prometheus/autoscaling.yml"),
        include_str!("../../../etc/grafana/simplest_script.json"),
    ] {
        let unknown: Vec<String> = named(file)
            .into_iter()
            .filter(|name| !known.contains(name.as_str()))
            .collect();
        assert_eq!(unknown, [""; 0]);
    }
    assert!(named(include_str!("../../../etc/prometheus/rules.yml")).len() > 10);
}

/// `rules_test.yml` tries one query on one and on two daemons; both examples have that one.
#[test]
fn autoscaling_asks_by_the_query_that_is_tried() {
    let query = "sum(max by (queue) (simplest_script_queue_consumers_wanted))";
    let times = |file: &str| file.matches(query).count();
    let autoscaling = include_str!("../../../etc/prometheus/autoscaling.yml");
    assert_eq!(times(autoscaling), 2);
    assert_eq!(autoscaling.matches("uery: sum(").count(), 2, "and no other");
    assert_eq!(
        times(include_str!("../../../etc/prometheus/rules_test.yml")),
        2
    );
}
