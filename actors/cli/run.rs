//! `run`: the daemon.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::Actor;
use actix_rt::System;

use super::signals::{self, Signals};
use super::{await_database, startup_log};
use crate::alert::own::{EarlyAlerts, Memory};
use crate::alert::warning::{Counter, EndsCounting};
use crate::alert::{Courier, Notifier, Origin, Pinger};
use crate::app::services::Services;
use crate::app::{App, Context};
use crate::bootstrap::failure::{FAILED, Failure};
use crate::bootstrap::plan::{self, Parts};
use crate::bootstrap::{mini_system, open, version};
use crate::config::{Config, Fingerprint, Places};
use crate::db::Db;
use crate::delay_queue::{DelayQueueHandle, Pushable};
use crate::limits;
use crate::logs::StderrFormat;
use crate::membership::{Owner, host};
use crate::source::{Clusters, Inside, RedisServers, Routes, Sender};
use crate::stop::StopSignal;
use crate::store::Store;
use crate::supervisor::SupervisorActor;

/// Runs until a signal ends it. Nothing is started before the whole configuration is known to be right.
pub(crate) fn run<S: Send + Sync + 'static>(
    app: App<S>,
    places: &Places,
    started: Instant,
) -> Result<ExitCode, Failure> {
    // Whichever way this ends, nobody waits for a count any more.
    let _counting = EndsCounting;
    // Before they are read: what is written meanwhile is a change.
    let print = Fingerprint::of(places);
    let config = Arc::new(open::configuration(&app, places)?);
    let _log = open::log(&config, StderrFormat::Person)?;
    limits::raise_open_files();
    let signals = signals::watch().map_err(Failure::failed)?;
    let owner = Owner::new(config.partition.clone());
    startup_log::introduce(&config, places, &owner);
    let store = mini_system::own_store(&config);
    // Before anything that may be away for long.
    let courier = Courier::default();
    let notifier = Notifier::start(&config.settings.alert, origin(&config), &courier);
    let early_alerts = EarlyAlerts::new(&config.settings.alert.rules, notifier.clone());
    let migrated = await_database::migrate(&store, &signals, &early_alerts);
    if !matches!(migrated, Ok(Some(()))) {
        mini_system::in_system(early_alerts.end());
    }
    if migrated?.is_none() {
        return Ok(ExitCode::SUCCESS);
    }

    let system = System::new();
    let start = Start {
        places,
        print,
        started,
        store,
        owner,
        courier,
        notifier,
        alert_memory: early_alerts.memory(),
        signals,
    };
    let begun = system.block_on(begin(app, config, start));
    if !matches!(begun, Ok(Begun::Supervisor)) {
        system.block_on(early_alerts.end());
    }
    match begun? {
        Begun::Stopped => Ok(ExitCode::SUCCESS),
        Begun::Supervisor => {
            let code = system.run_with_code().map_err(Failure::failed)?;
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(FAILED)))
        }
    }
}

/// What the System begins with.
struct Start<'a> {
    places: &'a Places,
    /// Of the files that the configuration was read from.
    print: Fingerprint,
    started: Instant,
    store: Arc<dyn Store>,
    owner: Owner,
    courier: Courier,
    notifier: Notifier,
    alert_memory: Memory,
    signals: Signals,
}

/// How far the start came.
enum Begun {
    /// SupervisorActor runs, and signals reach it.
    Supervisor,
    /// A signal came before.
    Stopped,
}

/// Makes the program's state and the plan, and starts SupervisorActor.
async fn begin<S: Send + Sync + 'static>(
    app: App<S>,
    config: Arc<Config>,
    start: Start<'_>,
) -> Result<Begun, Failure> {
    let stop = StopSignal::new();
    let delay_queue = DelayQueueHandle::default();
    startup_log::mention_others(start.store.as_ref(), &config.partition).await;
    let db = Db::new(start.store.as_ref());
    let commands = app.registry.commands();
    let clusters = Arc::new(Clusters::new(&config.settings.kafka, Inside::Daemon));
    let redis = Arc::new(RedisServers::new(&config.settings));
    let routes = Routes::of(&config.queues);
    let sender = Sender::new(
        db.clone(),
        routes.clone(),
        Arc::clone(&clusters),
        Arc::clone(&redis),
    );
    let services = Services::new(
        config.settings.clone(),
        delay_queue.clone(),
        sender,
        Arc::clone(&clusters),
        stop.clone(),
        Pushable::Registered(commands.delayed.clone()),
    );
    let state = tokio::select! {
        state = (app.init)(config.settings.clone()) => state,
        () = start.signals.first() => {
            log::info!("stopped before the program's state was made");
            return Ok(Begun::Stopped);
        }
    };
    let state = state.map_err(|cause| Failure::failed(format!("the program's state: {cause}")))?;
    let counter = Counter::of_process();
    counter.begin();
    let handlers = app.registry.bind(&Context::new(Arc::new(services), state));
    let on_change = config.settings.reload_on_change;
    let (plan, files) = plan::plan(Parts {
        notifier: start.notifier,
        alert_memory: start.alert_memory,
        counter,
        pinger: Pinger::new(&start.courier, host()),
        config,
        routes,
        commands,
        places: start.places,
        handlers,
        store: start.store,
        db,
        delay_queue,
        clusters,
        redis,
        owner: start.owner,
        started: start.started,
    })?;
    let supervisor = SupervisorActor::new(plan, stop);
    let supervisor = supervisor.of_files(Rc::new(files), start.print, on_change);
    start.signals.forward(supervisor.start())?;
    Ok(Begun::Supervisor)
}

/// What alerts say of this daemon.
pub(crate) fn origin(config: &Config) -> Origin {
    Origin {
        environment: config.environment,
        partition: config.partition.to_string(),
        host: host(),
        version: version::VERSION,
    }
}
