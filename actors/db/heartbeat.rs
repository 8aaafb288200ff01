//! Heartbeats: on a connection of their own, which no queue of writes can hold up.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, millis};
use crate::membership::Liveness;
use crate::outage::Outage;
use crate::store::DbError;
use crate::store::rows::{Beat, BootRow, Heartbeat};
use crate::store::traits::{Store, Writer};

/// This boot's heartbeats; processes without claims have none.
#[derive(Clone)]
pub(crate) struct Heartbeats {
    pub(crate) boot: BootRow,
    pub(crate) liveness: Arc<Liveness>,
}

/// Sends them for ever. After each one that came in time, and once they have held for long enough, `judge` gets its
/// moment, to search for boots whose heartbeats stopped.
pub(super) async fn beat(
    store: Arc<dyn Store>,
    heartbeats: Heartbeats,
    mut outage: Outage,
    judge: impl Fn(i64),
) {
    let mut writer: Option<Box<dyn Writer>> = None;
    let mut clocks = Clocks { last: None };
    loop {
        let sent = Moment::now();
        let mut soon = None;
        match beat_once(store.as_ref(), &mut writer, &heartbeats, sent).await {
            Ok(at_ms) => {
                outage.passed();
                clocks.compare(sent, at_ms, &heartbeats.liveness);
                if heartbeats.liveness.may_judge() {
                    judge(at_ms);
                }
            }
            Err(cause @ DbError::Replaced { .. }) => {
                heartbeats.liveness.end(cause.to_string());
                // No other heartbeat can hold. The supervisor ends the daemon.
                return std::future::pending().await;
            }
            Err(cause) => {
                writer = None;
                // Not a whole interval later: two late ones, and nothing that is claimed may start.
                soon = Some(outage.failed_after(sent.elapsed(), cause.into_reason()));
            }
        }
        let interval = heartbeats.liveness.interval();
        let next = interval.saturating_sub(sent.elapsed());
        let next = soon.map_or(next, |soon| next.min(soon));
        tokio::time::sleep(next.max(SHORTEST_BEAT)).await;
    }
}

/// The two clocks at the last beat: one that only goes on, and the one that heartbeats are written by.
struct Clocks {
    last: Option<(Moment, i64)>,
}

impl Clocks {
    /// Logs, and notes in `liveness`, when they differ by more than an interval since the last call: the heartbeats of
    /// others seem old then.
    fn compare(&mut self, steady: Moment, wall_ms: i64, liveness: &Liveness) {
        let before = self.last.replace((steady, wall_ms));
        // A late answer proves nothing about the clock: the row may have been written at any moment of the wait.
        if steady.elapsed() > liveness.interval() / 2 {
            self.last = None;
            return;
        }
        let Some((steady_before, wall_before)) = before else {
            return;
        };
        let passed = millis(steady.since(steady_before));
        let jumped_ms = wall_ms - wall_before - passed;
        if jumped_ms < -millis(liveness.interval()) {
            liveness.clock_was_set_back();
        }
        if jumped_ms.abs() > millis(liveness.interval()) {
            log::warn!(
                "the clock has jumped; no other daemon is judged until its heartbeats have come again"
            );
            liveness.clock_jumped(steady);
        }
    }
}

/// Keeps a failing heartbeat from spinning.
const SHORTEST_BEAT: Duration = Duration::from_millis(50);

async fn beat_once(
    store: &dyn Store,
    writer: &mut Option<Box<dyn Writer>>,
    heartbeats: &Heartbeats,
    sent: Moment,
) -> Result<i64, DbError> {
    let connection = match writer {
        Some(connection) => connection,
        None => writer.insert(store.writer().await?),
    };
    let Heartbeat { beat, at_ms } = connection.heartbeat(&heartbeats.boot).await?;
    let answered = Moment::now();
    let has_just_begun = beat == Beat::Unknown && heartbeats.liveness.is_fresh();
    match beat {
        Beat::Alive => heartbeats.liveness.confirm(sent, answered),
        Beat::Unknown if has_just_begun => heartbeats.liveness.confirm(sent, answered),
        Beat::Unknown | Beat::WasDead => {
            log::warn!(
                "this daemon ({}) missed its heartbeats, and others took over its work; it starts anew",
                heartbeats.boot.owner
            );
            heartbeats.liveness.was_dead(sent);
        }
    }
    Ok(at_ms)
}
