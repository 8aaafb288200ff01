//! The last runs of a cron entry as bars, by duration and outcome.

use super::run_rows::KnownRun;
use crate::store::daemon_orders::CronRun;

/// Of the drawing.
const HEIGHT: f64 = 60.0;
const STEP: f64 = 12.0;
const GAP: f64 = 3.0;
/// What took no time is seen all the same.
const LEAST: f64 = 3.0;

/// See the module's header.
pub(super) struct Bars {
    pub(super) width: u32,
    /// The oldest first.
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    /// A class of the style sheet.
    pub(super) class: &'static str,
    pub(super) status: String,
    pub(super) took_ms: i64,
}

impl Bars {
    /// None where there are no runs. `runs`: the newest first.
    pub(super) fn of(runs: &[KnownRun], now: i64) -> Option<Self> {
        let took = |run: &CronRun| match run.status.as_str() {
            "skipped" => 0,
            _ => (run.ended_ms.unwrap_or(now) - run.started_ms).max(0),
        };
        let longest = runs.iter().map(|known| took(&known.run)).max()?.max(1);
        let bars = runs.iter().rev().enumerate().map(|(at, known)| {
            let run = &known.run;
            let took_ms = took(run);
            #[expect(clippy::cast_precision_loss, reason = "of a drawing")]
            let (share, x) = (took_ms as f64 / longest as f64, at as f64 * STEP);
            let height = (share * HEIGHT).max(LEAST);
            Bar {
                x: format!("{x:.0}"),
                y: format!("{:.1}", HEIGHT - height),
                width: format!("{:.0}", STEP - GAP),
                height: format!("{height:.1}"),
                class: match run.status.as_str() {
                    "success" => "done",
                    "skipped" => "skipped",
                    "starting" | "running" => "running",
                    _ => "failed",
                },
                status: run.status.clone(),
                took_ms,
            }
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "of fifty bars"
        )]
        let width = (runs.len().max(20) as f64 * STEP) as u32;
        Some(Self {
            width,
            bars: bars.collect(),
        })
    }
}
