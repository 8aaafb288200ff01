//! `exec`: one cron handler in this process; what CronActor starts for each fire, and what a person may run by hand.
//!
//! The result goes to the run's file, to standard output, and then to the database. **Whatever a run prints stands in its
//! output before its row says that it has ended**: whoever follows the output reads it until then. The file is held locked all the
//! while: as long as the lock is held this run lives, whatever happens to the daemon that started it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::print::print;
use crate::alert::warning::{Counter, EndsCounting};
use crate::app::services::Services;
use crate::app::{App, Context};
use crate::bootstrap::failure::{FAILED, Failure, chain};
use crate::bootstrap::plan::count_origin;
use crate::bootstrap::{mini_system, open};
use crate::clock::now_ms;
use crate::config::{Config, Places};
use crate::cron::{Outcome, RESULT_FAILED, RESULT_OK, RunFile, RunHead, RunResult, Uk};
use crate::db::Db;
use crate::delay_queue::{DelayQueueActor, DelayQueueHandle, Pushable, Pusher};
use crate::job::{Handler, JobResult, Run, run};
use crate::logs::StderrFormat;
use crate::source::{Clusters, Inside, RedisServers, Routes, Sender};
use crate::stop::StopSignal;
use crate::store::rows::RunEnd;
use crate::store::write::EndRun;
use crate::task::restart_on_panic;
use crate::trace::Trace;
use crate::workers::Workers;

/// The longest that the run waits for the database at its end; after that the result stays in its file, for the daemon.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The registered cron handler
    exec_cmd: String,
    /// Handed to the handler as it is
    #[arg(default_value = "", allow_hyphen_values = true)]
    params: String,
    /// Names the run; given by the daemon
    #[arg(long)]
    uk: Option<String>,
}

/// Runs the handler. Exit status 0 or 1, as it ended.
pub(crate) fn exec<S: Send + Sync + 'static>(
    app: App<S>,
    places: &Places,
    args: ExecArgs,
) -> Result<ExitCode, Failure> {
    // A run of the daemon's writes to a file, a person sits at a terminal.
    let (config, stderr) = match args.uk {
        Some(_) => (
            open::configuration_for_run(&app, places)?,
            StderrFormat::Plain,
        ),
        None => (open::configuration(&app, places)?, StderrFormat::Person),
    };
    let _log = open::log(&config, stderr)?;
    let uk = args
        .uk
        .as_deref()
        .map(str::parse::<Uk>)
        .transpose()
        .map_err(Failure::misused)?;
    // Whichever way this ends, nobody waits for a count any more.
    let _counting = EndsCounting;
    let runs = crate::bootstrap::plan::data_dir(&config).join(crate::bootstrap::plan::RUNS);
    let mut file = uk.as_ref().map(|uk| begin(&runs, uk)).transpose()?;
    let job = job(&args, uk.as_ref(), file.as_ref());
    // Nothing of the database, Redis or Kafka is touched before the handler asks for it, or the end is written. A run of
    // the daemon's comes after the daemon; one by hand may be the first thing that ever happens here.
    let store = match uk {
        Some(_) => mini_system::own_store(&config),
        None => mini_system::lazily_migrated_store(&config)?,
    };
    let exec_cmd = args.exec_cmd;
    let ended = mini_system::in_system(async move {
        let db = mini_system::start_db(&store);
        let (result, shown) = match call(app, &config, &db, &exec_cmd, job).await? {
            Ok(data) => (RESULT_OK, data),
            Err(error) => (RESULT_FAILED, Value::from(error.to_string())),
        };
        let result = RunResult {
            status: result,
            data: shown,
            ended_ms: now_ms(),
        };
        let said = format!(
            "{}\n",
            json!({ "status": result.status, "data": result.data })
        );
        let mut printed = Ok(());
        let end = async {
            match (uk, &mut file) {
                (Some(uk), Some(file)) => finish(&db, &uk, file, &result, &said).await,
                _ => printed = print(&said),
            }
        };
        let counted = Counter::of_process();
        let counted = counted.finish(Instant::now() + DATABASE_PATIENCE);
        tokio::join!(end, counted);
        printed?;
        Ok::<_, Failure>(result.status)
    })?;
    Ok(match ended {
        RESULT_OK => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    })
}

fn begin(runs: &Path, uk: &Uk) -> Result<RunFile, Failure> {
    let head = RunHead::of_this_process(uk.clone(), now_ms());
    RunFile::begin(runs, &head).map_err(Failure::failed)
}

fn job(args: &ExecArgs, uk: Option<&Uk>, file: Option<&RunFile>) -> Run {
    let announced = file.and_then(RunFile::announcement);
    Run {
        uk: uk.map(ToString::to_string).unwrap_or_default(),
        name: announced.map_or_else(|| args.exec_cmd.clone(), |fire| fire.name.clone()),
        params: args.params.clone(),
        scheduled: announced.and_then(|fire| DateTime::from_timestamp_millis(fire.scheduled_ms)),
        trace: Trace::of_environment(),
    }
}

/// Runs the handler on a worker, so that connections are opened where no business code runs.
async fn call<S: Send + Sync + 'static>(
    app: App<S>,
    config: &Config,
    db: &Db,
    exec_cmd: &str,
    job: Run,
) -> Result<JobResult<Value>, Failure> {
    let known = app.registry.commands();
    let pushable = Pushable::Registered(known.delayed);
    let pusher = Pusher::new(pushable.clone(), db.clone());
    let delay_queue = DelayQueueHandle::default();
    delay_queue.set(DelayQueueActor::start_pusher(pusher));
    let clusters = Arc::new(Clusters::new(&config.settings.kafka, Inside::Elsewhere));
    let redis = Arc::new(RedisServers::new(&config.settings));
    let sender = Sender::new(
        db.clone(),
        Routes::of(&config.queues),
        Arc::clone(&clusters),
        redis,
    );
    let services = Services::new(
        config.settings.clone(),
        delay_queue,
        sender,
        clusters,
        StopSignal::new(),
        pushable,
    );
    let state = (app.init)(config.settings.clone()).await;
    let state = state.map_err(|cause| Failure::failed(format!("the program's state: {cause}")))?;
    count(config, db);
    let mut handlers = app.registry.bind(&Context::new(Arc::new(services), state));
    let Some(handler) = handlers.cron.remove(exec_cmd) else {
        // Not an error of the command line alone: a cron entry's run must end as failed.
        let hint = crate::config::did_you_mean(exec_cmd, &known.cron);
        return Ok(Err(format!(
            "no cron handler `{exec_cmd}` is registered{hint}"
        )
        .into()));
    };
    let workers = Workers::start(1).map_err(Failure::failed)?;
    Ok(on_worker(&workers, handler, job).await)
}

/// What the handler counts is written beside it, and at its end.
fn count(config: &Config, db: &Db) {
    let (counter, db) = (Counter::of_process(), db.clone());
    let origin = Arc::new(count_origin(config));
    counter.begin();
    actix_rt::spawn(async move {
        let what = "the writing of what is counted";
        // Daemons poll for limits that are reached here.
        restart_on_panic(what, || counter.write(&db, &origin, || {})).await;
    });
}

async fn on_worker(workers: &Workers, handler: Handler<Run, Value>, job: Run) -> JobResult<Value> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    workers.next().spawn_fn(move || {
        actix_rt::spawn(async move {
            let trace = job.trace.clone();
            let ended = run(&handler, job, None, None, trace).await;
            // The other side waits for nothing else.
            let _ = sender.send(ended);
        });
    });
    receiver.await.unwrap_or_else(|cause| Err(cause.into()))
}

/// First the file, then what is printed, then the row: a result that does not reach the database is picked up from the
/// file, and nobody reads the file of a run that lives.
async fn finish(db: &Db, uk: &Uk, file: &mut RunFile, result: &RunResult, said: &str) {
    if let Err(cause) = file.finish(result) {
        log::error!("run {uk}: its result is not in its file: {cause}");
    }
    // Lines of the log are written by another thread.
    log::logger().flush();
    if let Err(failure) = print(said) {
        // Its result is known all the same: the run ends as its handler did.
        failure.report();
    }
    let outcome = Outcome::reported(result);
    let end = RunEnd {
        uk: uk.to_string(),
        status: outcome.status.to_owned(),
        result: outcome.result,
        pid: std::process::id().cast_signed(),
        ended_ms: result.ended_ms,
        only_of: None,
    };
    match tokio::time::timeout(DATABASE_PATIENCE, db.write(EndRun(end))).await {
        Ok(Ok(_)) => {}
        Ok(Err(cause)) => {
            log::error!(
                "run {uk}: its end is not in the database yet: {}",
                chain(&cause)
            );
        }
        Err(_) => log::error!("run {uk}: its end is not in the database yet, which did not answer"),
    }
}
