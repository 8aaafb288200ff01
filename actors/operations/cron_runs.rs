//! The runs of a partition's entries, and the orders of runs that no daemon has begun.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Refusal;
use crate::config::{Config, did_you_mean};
use crate::cron::LiveEntry;
use crate::store::browse::{self, Next, PartitionRuns, Reach};
use crate::store::daemon_orders::{CronRun, OrderKind, RunOrder, RunPlace, RunsAsked};
use crate::store::{DbError, Reader};

/// A run, or the order of one, as it is listed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ListedRun {
    pub(crate) run: String,
    pub(crate) name: String,
    /// How it ended; or `ordered`, `starting`, `running`, `not run`.
    pub(crate) status: String,
    /// Of an order without a run: when it was ordered.
    pub(crate) scheduled_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) pid: Option<i32>,
    /// Whoever ordered the run; none of a fire of its expression.
    pub(crate) ordered_by: Option<String>,
    pub(crate) params: Option<String>,
    /// Whoever ordered its end.
    pub(crate) end_ordered_by: Option<String>,
    /// Why an order has no run.
    pub(crate) why: Option<String>,
}

/// Which runs are meant; a name that no entry has is refused.
pub(crate) fn asked(config: &Config, name: Option<&str>, limit: i64) -> Result<RunsAsked, Refusal> {
    let of = match name {
        None => None,
        Some(name) => {
            let named = config.crontab.iter().filter(|entry| entry.name == name);
            let keys: Vec<String> = named
                .map(|entry| LiveEntry::new(entry.clone()).key)
                .collect();
            if keys.is_empty() {
                return Err(Refusal::Unknown(unknown_entry(config, name)));
            }
            Some((name.to_owned(), keys))
        }
    };
    Ok(RunsAsked {
        partition: config.partition.to_string(),
        of,
        before: RunPlace::START,
        limit,
    })
}

/// No cron entry has that name.
pub(crate) fn unknown_entry(config: &Config, name: &str) -> String {
    let known: BTreeSet<String> = config
        .crontab
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    format!(
        "no cron entry `{name}` is configured in partition {}{}",
        config.partition,
        did_you_mean(name, &known)
    )
}

/// A page of runs.
#[derive(Debug)]
pub(crate) struct RunsPage {
    pub(crate) runs: Vec<ListedRun>,
    /// Where the next page begins; none behind the last one.
    pub(crate) next: Option<RunPlace>,
}

/// The newest first. A page of a whole partition is found in steps (`store/browse/`): it may be short, even empty, and have
/// a next one.
pub(crate) async fn page(
    reader: &dyn Reader,
    environment: &str,
    asked: RunsAsked,
    now: i64,
) -> Result<RunsPage, DbError> {
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let unmade = reader.unmade_runs(environment, asked.clone()).await?;
    let (runs, behind) = runs_of(reader, &asked, limit).await?;
    let uks = runs.iter().map(|run| run.uk.clone()).collect();
    let mut orders: BTreeMap<String, Vec<RunOrder>> = BTreeMap::new();
    for order in reader.run_orders(uks).await? {
        orders.entry(order.uk.clone()).or_default().push(order);
    }
    let may_have_more_orders = unmade.len() >= limit;
    let (mut runs, mut unmade) = (runs.into_iter().peekable(), unmade.into_iter().peekable());
    let (mut listed, mut place) = (Vec::new(), asked.before);
    while listed.len() < limit {
        let run = match (runs.peek(), unmade.peek()) {
            (Some(run), Some(order)) => run.scheduled_ms >= order.ordered_ms,
            (Some(_), None) => true,
            // Runs behind this page may be newer than the order.
            (None, Some(_)) if behind != Next::End => break,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        if let Some(run) = runs.next_if(|_| run) {
            (place.scheduled_ms, place.run) = (run.scheduled_ms, run.id);
            let its = orders.remove(&run.uk).unwrap_or_default();
            listed.push(ListedRun::of_run(run, &its, now));
        } else if let Some(order) = unmade.next() {
            place.order = order.id;
            listed.push(ListedRun::of_order(order));
        }
    }
    let all_shown = runs.peek().is_none() && unmade.peek().is_none();
    if let (true, Next::Unknown(edge)) = (runs.peek().is_none(), behind) {
        place.run = edge;
    }
    let is_last = all_shown && behind == Next::End && !may_have_more_orders;
    Ok(RunsPage {
        runs: listed,
        next: (!is_last).then_some(place),
    })
}

/// As [`page`], over as many pages as it takes.
pub(crate) async fn list(
    reader: &dyn Reader,
    environment: &str,
    mut asked: RunsAsked,
    now: i64,
) -> Result<Vec<ListedRun>, DbError> {
    let mut all = Vec::new();
    while asked.limit > 0 {
        let RunsPage { runs, next } = page(reader, environment, asked.clone(), now).await?;
        asked.limit -= i64::try_from(runs.len()).unwrap_or(i64::MAX);
        all.extend(runs);
        match next {
            Some(next) => asked.before = next,
            None => break,
        }
    }
    Ok(all)
}

async fn runs_of(
    reader: &dyn Reader,
    asked: &RunsAsked,
    limit: usize,
) -> Result<(Vec<CronRun>, Next<i64>), DbError> {
    if asked.of.is_none() {
        let of_partition = PartitionRuns {
            partition: asked.partition.clone(),
            before: asked.before.run,
        };
        let reach = Reach::page(u32::try_from(limit).unwrap_or(u32::MAX));
        let page = browse::runs(reader, of_partition, reach).await?;
        return Ok((page.rows, page.next));
    }
    let one_more = RunsAsked {
        limit: asked.limit.saturating_add(1),
        ..asked.clone()
    };
    let mut runs = reader.cron_runs(one_more).await?;
    let behind = match runs.len() > limit {
        true => Next::More(0),
        false => Next::End,
    };
    runs.truncate(limit);
    Ok((runs, behind))
}

impl ListedRun {
    pub(crate) fn of_run(run: CronRun, orders: &[RunOrder], now: i64) -> Self {
        let of_kind = |kind| orders.iter().find(|order| order.kind == kind);
        let made_by = of_kind(OrderKind::Run).filter(|_| run.is_ordered());
        Self {
            duration_ms: Some((run.ended_ms.unwrap_or(now) - run.started_ms).max(0)),
            ordered_by: made_by.map(|order| order.ordered_by.clone()),
            params: made_by.and_then(|order| order.params.clone()),
            end_ordered_by: of_kind(OrderKind::End).map(|order| order.ordered_by.clone()),
            why: None,
            pid: (run.pid > 0).then_some(run.pid),
            started_ms: Some(run.started_ms),
            ended_ms: run.ended_ms,
            scheduled_ms: run.scheduled_ms,
            status: run.status,
            name: run.name,
            run: run.uk,
        }
    }

    pub(crate) fn of_order(order: RunOrder) -> Self {
        let (status, why) = match order.is_waiting {
            true => ("ordered", None),
            false => ("not run", Some(order.result)),
        };
        Self {
            run: order.uk,
            name: order.name,
            status: status.to_owned(),
            scheduled_ms: order.ordered_ms,
            started_ms: None,
            ended_ms: None,
            duration_ms: None,
            pid: None,
            ordered_by: Some(order.ordered_by),
            params: order.params,
            end_ordered_by: None,
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::testing_support::TestDb;

    fn asked(limit: i64) -> RunsAsked {
        RunsAsked {
            partition: "script1".to_owned(),
            of: None,
            before: RunPlace::START,
            limit,
        }
    }

    /// The keys of all rows, page by page; and how many pages there were.
    async fn pages(db: &TestDb, mut asked: RunsAsked) -> (Vec<String>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            let page = page(db.db.reader(), "dev", asked.clone(), 9000);
            let RunsPage { runs, next } = page.await.unwrap();
            assert!(runs.len() <= usize::try_from(asked.limit).unwrap());
            all.extend(runs.into_iter().map(|run| run.run));
            pages += 1;
            match next {
                Some(next) => asked.before = next,
                None => return (all, pages),
            }
        }
    }

    #[actix_rt::test]
    async fn pages_hold_each_run_once_in_order() {
        let db = TestDb::start();
        db.sql(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms) VALUES
             ('script1', 'e', 1000, 'a', 'n', 'o', '', 3, 'success', 1), ('script2', 'e', 1000, 'x', 'n', 'o', '', 3, 'success', 1),
             ('script1', 'e', 2000, 'b', 'n', 'o', '', 3, 'success', 1), ('script1', 'f', 2000, 'c', 'n', 'o', '', 3, 'success', 1);
             INSERT INTO daemon_order (environment, partition_name, kind, name, entry, uk, ordered_by, ordered_ms, state) VALUES
             ('dev', 'script1', 'run', 'n', 'e', 'old', 'ann', 500, 1), ('dev', 'script1', 'run', 'n', 'e', 'mid', 'ann', 1500, 1),
             ('dev', 'script1', 'run', 'n', 'e', 'new', 'ann', 2500, 1)",
        );
        let expected = ["new", "c", "b", "mid", "a", "old"];
        let of_name = Some(("n".to_owned(), vec!["e".to_owned(), "f".to_owned()]));
        for limit in [1, 2, 3, 5, 9] {
            assert_eq!(pages(&db, asked(limit)).await.0, expected, "{limit}");
            let of_name = RunsAsked {
                of: of_name.clone(),
                ..asked(limit)
            };
            assert_eq!(pages(&db, of_name).await.0, expected, "{limit} of a name");
        }
        let all = list(db.db.reader(), "dev", asked(4), 9000).await.unwrap();
        assert_eq!(all.len(), 4);
    }

    #[actix_rt::test]
    #[ignore = "a measurement, for a machine that does nothing else"]
    async fn runs_of_a_quiet_partition_among_a_million() {
        let db = TestDb::start();
        let insert = |partition: &str, first: u32, last: u32| {
            db.sql(&format!(
                "WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last})
                 INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
                 SELECT '{partition}', 'e', n * 1000, '{partition}-' || n, 'n', 'o', '{{}}', 3, 'success', n * 1000 FROM s"
            ));
        };
        insert("script1", 1, 50);
        insert("script2", 51, 1_000_000);
        for (limit, of) in [
            (100, None),
            (100, Some(("n".to_owned(), vec!["e".to_owned()]))),
        ] {
            let asked = RunsAsked { of, ..asked(limit) };
            let begun = Instant::now();
            let first = page(db.db.reader(), "dev", asked.clone(), 9000);
            let first = first.await.unwrap();
            let took = begun.elapsed();
            let begun = Instant::now();
            let (all, pages) = pages(&db, asked).await;
            assert_eq!(all.len(), 50);
            println!(
                "first page: {took:?}, {} runs; all: {pages} pages in {:?}",
                first.runs.len(),
                begun.elapsed()
            );
        }
    }
}
