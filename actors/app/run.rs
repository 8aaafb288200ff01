//! `run`: the daemon.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::Actor;
use actix_rt::System;

use super::failure::Failure;
use super::plan::{self, Parts};
use super::services::Services;
use super::{App, Context, await_database, introduce, signals, start, version, writer};
use crate::alert::own::EarlyAlerts;
use crate::alert::warning::{Counter, EndsCounting};
use crate::alert::{Courier, Notifier, Origin, Pinger};
use crate::config::{Config, Fingerprint, Places};
use crate::db::Db;
use crate::delay_queue::DelayQueueHandle;
use crate::identity::{Owner, host};
use crate::limits;
use crate::logs::StderrFormat;
use crate::source::{Clusters, Inside, RedisServers, Routes, Sender};
use crate::stop::StopSignal;
use crate::supervisor::SupervisorActor;

/// Runs until a signal ends it. Nothing is started before the whole configuration is known to be right.
pub(super) fn run<S: Send + Sync + 'static>(
    app: App<S>,
    places: &Places,
    started: Instant,
) -> Result<ExitCode, Failure> {
    // Whichever way this ends, nobody waits for a count any more.
    let _counting = EndsCounting;
    // Before they are read: what is written meanwhile is a change.
    let print = Fingerprint::of(places);
    let config = Arc::new(start::configuration(&app, places)?);
    let _log = start::log(&config, StderrFormat::Person)?;
    limits::raise_open_files();
    let signals = signals::watch().map_err(Failure::failed)?;
    let owner = Owner::new(config.partition.clone());
    introduce::introduce(&config, places, &owner);
    let store = writer::own_store(&config);
    // Before anything that may be away for long.
    let courier = Courier::default();
    let notifier = Notifier::start(&config.settings.alert, origin(&config), &courier);
    let early_alerts = EarlyAlerts::new(&config.settings.alert.rules, notifier.clone());
    let migrated = await_database::migrate(&store, &signals, &early_alerts);
    if !matches!(migrated, Ok(Some(()))) {
        writer::in_system(early_alerts.end());
    }
    if migrated?.is_none() {
        return Ok(ExitCode::SUCCESS);
    }

    let system = System::new();
    let begun = system.block_on(async {
        let stop = StopSignal::new();
        let delay_queue = DelayQueueHandle::default();
        introduce::mention_others(store.as_ref(), &config.partition).await;
        let db = Db::new(store.as_ref());
        let commands = app.registry.commands();
        let clusters = Arc::new(Clusters::new(&config.settings.kafka, Inside::Daemon));
        let redis = Arc::new(RedisServers::new(&config.settings));
        let routes = Routes::of(&config.queues);
        let services = Services::new(
            config.settings.clone(),
            delay_queue.clone(),
            Sender::new(
                db.clone(),
                routes.clone(),
                Arc::clone(&clusters),
                Arc::clone(&redis),
            ),
            Arc::clone(&clusters),
            stop.clone(),
            Some(commands.delayed.clone()),
        );
        let state = tokio::select! {
            state = (app.init)(config.settings.clone()) => state,
            () = signals.first() => {
                log::info!("stopped before the program's state was made");
                return Ok(false);
            }
        };
        let state =
            state.map_err(|cause| Failure::failed(format!("the program's state: {cause}")))?;
        let counter = Counter::of_process();
        counter.begin();
        let handlers = app.registry.bind(&Context::new(Arc::new(services), state));
        let pinger = Pinger::new(&courier, host());
        let (plan, files) = plan::plan(Parts {
            notifier,
            alert_memory: early_alerts.memory(),
            counter,
            pinger,
            config: Arc::clone(&config),
            routes,
            commands,
            places,
            handlers,
            store,
            db,
            delay_queue,
            clusters,
            redis,
            owner,
            started,
        })?;
        let on_change = config.settings.reload_on_change;
        let supervisor = SupervisorActor::new(plan, stop);
        let supervisor = supervisor.of_files(Rc::new(files), print, on_change);
        let supervisor = supervisor.start();
        signals.forward(supervisor)?;
        Ok(true)
    });
    if !matches!(begun, Ok(true)) {
        system.block_on(early_alerts.end());
    }
    if !begun? {
        return Ok(ExitCode::SUCCESS);
    }
    let code = system.run_with_code().map_err(Failure::failed)?;
    Ok(ExitCode::from(
        u8::try_from(code).unwrap_or(super::failure::FAILED),
    ))
}

/// What alerts say of this daemon.
pub(super) fn origin(config: &Config) -> Origin {
    Origin {
        environment: config.environment,
        partition: config.partition.to_string(),
        host: host(),
        version: version::VERSION,
    }
}
