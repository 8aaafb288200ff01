//! Waits for the database at the start: a server may boot together with us, and later than we do. Whoever gets alerts is
//! not left alone meanwhile.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::signals::Signals;
use crate::alert::own::EarlyAlerts;
use crate::bootstrap::failure::{Failure, chain};
use crate::db::outage_of;
use crate::store::{DbError, Store};

/// How soon a signal is seen while nothing else happens.
const LOOK: Duration = Duration::from_millis(50);
/// How soon the end of a migration is seen: mostly there is nothing to do, and the daemon starts.
const SHORT_LOOK: Duration = Duration::from_millis(1);

/// Brings the tables up to date, as soon as the database is there. None: a signal came before they were.
pub(crate) fn migrate(
    store: &Arc<dyn Store>,
    signals: &Signals,
    alerts: &EarlyAlerts,
) -> Result<Option<()>, Failure> {
    let address = store.address();
    let mut outage = outage_of(store.as_ref());
    loop {
        let Some(migrated) = one_try(store, signals, alerts) else {
            log::info!("stopped before the tables in {address} were up to date");
            return Ok(None);
        };
        match migrated {
            Ok(done) => {
                outage.passed();
                alerts.poll();
                if !done.is_empty() {
                    log::info!("{address}: {} migrations done", done.len());
                }
                return Ok(Some(()));
            }
            Err(cause @ DbError::Away(_)) => {
                let until = Instant::now() + outage.failed(cause.into_reason());
                while Instant::now() < until {
                    if signals.came() {
                        log::info!("stopped before the database {address} was there");
                        return Ok(None);
                    }
                    alerts.wait();
                    thread::sleep(LOOK);
                }
            }
            Err(cause) => return Err(Failure::failed(format!("{address}: {}", chain(&cause)))),
        }
    }
}

/// On a thread of its own: it may wait for minutes for another daemon that is at it, or for a table that is in use. A
/// signal leaves it there; what ends with the process in the middle of it is done again by the next one.
fn one_try(
    store: &Arc<dyn Store>,
    signals: &Signals,
    alerts: &EarlyAlerts,
) -> Option<Result<Vec<String>, DbError>> {
    let migrating = Arc::clone(store);
    let migration = thread::spawn(move || migrating.migrate());
    while !migration.is_finished() {
        if signals.came() {
            return None;
        }
        alerts.wait();
        thread::sleep(SHORT_LOOK);
    }
    let ended = migration.join();
    Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
