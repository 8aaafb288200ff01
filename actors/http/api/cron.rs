//! Runs of cron entries: a list of them, a run now, its end, and what it prints.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Refused, body, limit, query, read, write};
use crate::clock::now_ms;
use crate::config::CronEntry;
use crate::cron::LiveEntry;
use crate::http::guard::Orderer;
use crate::http::routes::From;
use crate::http::unknown::Named;
use crate::logs::{OutputPart, read_part};
use crate::operations::cron_end::{self, EndOrdered};
use crate::operations::cron_log::{self, Printed};
use crate::operations::cron_runs::{ListedRun, RunsPage};
use crate::operations::{Refusal, cron_run, cron_runs};
use crate::store::daemon_orders::{RunPlace, RunsAsked};
use crate::store::write::GiveOrders;

/// Bytes of one answer with what a run printed, where nothing else is asked for.
const LOG_BYTES: u32 = 64 << 10;
/// At most.
const MOST_LOG_BYTES: u32 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    limit: Option<u32>,
    before: Option<String>,
}

#[derive(Serialize)]
struct Runs {
    runs: Vec<ListedRun>,
    /// `before` of the next page; none behind the last one. A page may be short, even empty, and have a next one: no page
    /// looks at more runs than it has time for.
    next: Option<String>,
}

/// `moment.run.order`.
fn place(text: &str) -> Option<RunPlace> {
    let mut numbers = text.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    let place = RunPlace {
        scheduled_ms: next()?,
        run: next()?,
        order: next()?,
    };
    numbers.next().is_none().then_some(place)
}

pub(super) async fn all_runs(from: From, request: HttpRequest) -> Answer {
    list(&from, &request, None).await
}

/// Runs are listed by name: those of other entries of this name are among them, as `cron runs NAME` shows them.
pub(super) async fn runs(from: From, key: web::Path<String>, request: HttpRequest) -> Answer {
    let Some(entry) = from.config.state.cron_entry(&key) else {
        return Err(unknown(&from, &key));
    };
    let (name, keys) = (entry.facts().name.clone(), vec![entry.key.clone()]);
    list(&from, &request, Some((name, keys))).await
}

async fn list(from: &From, request: &HttpRequest, of: Option<(String, Vec<String>)>) -> Answer {
    let RunsQuery {
        limit: rows,
        before,
    } = query(request)?;
    let before = match before {
        None => RunPlace::START,
        Some(text) => place(&text).ok_or_else(|| {
            Refused::bad(format!(
                "`before` is `{text}`, which no answer has as `next`"
            ))
        })?,
    };
    let identity = &from.config.state.identity;
    let asked = RunsAsked {
        partition: identity.partition.clone(),
        of,
        before,
        limit: i64::from(limit(rows)?),
    };
    let reader = from.config.db.reader();
    let page = cron_runs::page(reader, &identity.environment, asked, now_ms());
    let RunsPage { runs, next } = read(page).await?;
    let place = |at: RunPlace| format!("{}.{}.{}", at.scheduled_ms, at.run, at.order);
    Ok(HttpResponse::Ok().json(Runs {
        runs,
        next: next.map(place),
    }))
}

/// No live entry has that key, or that name.
fn unknown(from: &From, key: &str) -> Refused {
    Refused::unknown(Named::Cron.why(&from.config, key))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    /// Other params than those of the entry.
    params: Option<String>,
}

#[derive(Serialize)]
struct RunOrdered {
    ordered: &'static str,
    run: String,
}

/// The order is a row: whichever daemon of the partition sees it first makes the run.
pub(super) async fn run(
    from: From,
    key: web::Path<String>,
    sent: web::Bytes,
    orderer: Orderer,
) -> Answer {
    let RunBody { params } = body(&sent)?;
    let config = from.config.files.config();
    let meant = from.config.state.cron_entry(&key);
    let meant = meant.ok_or_else(|| unknown(&from, &key))?;
    let mut live = config.crontab.iter().filter(|entry| entry.live);
    let is_meant = |entry: &&CronEntry| LiveEntry::new((*entry).clone()).key == meant.key;
    let entry = live.find(is_meant).ok_or_else(|| unknown(&from, &key))?;
    cron_run::check_params(entry, params.as_deref())?;
    let order = cron_run::order(&config, entry, params, orderer.who);
    let run = order.uk.clone();
    let db = from.config.db.clone();
    let given = write(&from.config, async move {
        db.write(GiveOrders(vec![order])).await
    });
    // Where it is not known whether the order holds, its run is known by this key.
    let given = given.await;
    given.map_err(|refused| refused.with(&format!("; its run would be {run}")))?;
    Ok(HttpResponse::Accepted().json(RunOrdered {
        ordered: "run",
        run,
    }))
}

#[derive(Serialize)]
struct EndAnswer {
    ordered: &'static str,
    run: String,
    /// It had not begun, and does not.
    taken_back: bool,
}

pub(super) async fn end(from: From, uk: web::Path<String>, orderer: Orderer) -> Answer {
    let config = from.config.files.config();
    let db = from.config.db.clone();
    let end = async move { cron_end::end(&config, &db, &uk, orderer.who).await };
    let (run, taken_back) = match write(&from.config, end).await? {
        EndOrdered::Ordered(run) => (run.uk, false),
        EndOrdered::TakenBack(order) => (order.uk, true),
    };
    Ok(HttpResponse::Accepted().json(EndAnswer {
        ordered: "end",
        run,
        taken_back,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// None: the last lines.
    offset: Option<u64>,
    bytes: Option<u32>,
}

/// What the file of the run holds, from `offset` on: runs of one day share it. `Log-Next` is the offset of the next
/// part, and `Log-Run` shows whether the run goes on: a caller that follows it asks again until it has ended and a part
/// is empty.
pub(super) async fn log(from: From, uk: web::Path<String>, request: HttpRequest) -> Answer {
    let LogQuery { offset, bytes } = query(&request)?;
    let bytes = match bytes.unwrap_or(LOG_BYTES) {
        // A part has room for any character.
        bytes @ 4..=MOST_LOG_BYTES => usize::try_from(bytes).unwrap_or(usize::MAX),
        bytes => {
            return Err(Refused::bad(format!(
                "`bytes` is {bytes}; it can be 4 to {MOST_LOG_BYTES}"
            )));
        }
    };
    let config = from.config.files.config();
    let reader = from.config.db.reader();
    let run = match read(cron_log::find_run(&config, reader, &uk)).await? {
        Printed::Run(run) => run,
        Printed::Waiting => {
            return Err(Refused::impossible(format!("run {uk} has not begun")));
        }
    };
    let log = cron_log::output_of(&config, &from.config.files.logs, &run);
    let state = match run.ended_ms {
        None => "running".to_owned(),
        Some(_) => run.status.clone(),
    };
    // Files are read where waiting holds up nobody.
    let part = actix_rt::task::spawn_blocking(move || {
        let Some(path) = cron_log::file_of(&log, &run)? else {
            let why = cron_log::nothing_there(&log, &run);
            return Err(Refusal::Unknown(why));
        };
        let part = read_part(&path, offset, bytes);
        part.map_err(|cause| cron_log::cannot_read(&path, &cause))
    });
    let part = part.await;
    let part = part.map_err(|cause| Refused::impossible(format!("it cannot be read: {cause}")))?;
    let OutputPart { bytes, from, .. } = part?;
    let next = from.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .insert_header(("log-from", from.to_string()))
        .insert_header(("log-next", next.to_string()))
        .insert_header(("log-run", state))
        .body(bytes))
}
