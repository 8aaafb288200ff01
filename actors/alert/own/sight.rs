//! The input of the rules: a copy of the state that the actors publish, at one moment.

use super::probe::DiskSight;
use crate::state::view::OutageView;
use crate::state::{
    CronSight, DeadLetterGroup, DelaySight, LagSight, PartDeaths, State, dead_letters, deaths,
    outages,
};

/// See the module's header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) lags: Vec<LagSight>,
    pub(crate) dead_letters: Vec<DeadLetterGroup>,
    pub(crate) cron: Vec<CronSight>,
    pub(crate) outages: Vec<OutageView>,
    /// None before the first count.
    pub(crate) delay: Option<DelaySight>,
    pub(crate) deaths: Vec<PartDeaths>,
    pub(crate) disks: Vec<DiskSight>,
}

impl Sight {
    pub(crate) fn of(state: &State, disks: Vec<DiskSight>, now_ms: i64) -> Self {
        Self {
            now_ms,
            lags: state
                .queues()
                .iter()
                .map(|queue| queue.lag_sight())
                .collect(),
            dead_letters: dead_letters().groups(),
            cron: state.cron().iter().map(|entry| entry.sight()).collect(),
            outages: outages().list(),
            delay: state.delay.sight(),
            deaths: deaths().list(),
            disks,
        }
    }
}
