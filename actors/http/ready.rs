//! Whether this daemon does its work: its database answers, its heartbeats hold, each group has taken it.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::HttpConfig;
use crate::membership::Ownership;
use crate::stop::StopListener;

/// The answer to `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    /// What is missing, a sentence each.
    pub(super) missing: Vec<String>,
}

pub(super) async fn readiness(config: &HttpConfig, stop: &StopListener) -> Readiness {
    let mut missing = Vec::new();
    if stop.begun() {
        missing.push("this daemon is being stopped".to_owned());
    }
    let started = config.started.load(Ordering::Acquire);
    if !started {
        missing.push("this daemon is starting".to_owned());
    }
    if let Err(cause) = config.database.boots().await {
        missing.push(cause.to_string());
    }
    let liveness = &config.liveness;
    if started && liveness.ownership(liveness.generation()) != Ownership::Held {
        missing.push("the heartbeats are late: nothing that is claimed starts".to_owned());
    }
    for (queue, source) in config.sources.read().iter() {
        if let Some(why) = source.hindrance() {
            missing.push(format!("queue `{queue}`: {why}"));
        }
    }
    Readiness {
        ready: missing.is_empty(),
        missing,
    }
}
