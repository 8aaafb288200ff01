//! Waits for the database at the start: a server may boot together with us, and later than we do.

use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, chain};
use super::signals::Signals;
use crate::db::{DbError, Store};
use crate::outage::Outage;

/// How soon a signal is seen while nothing else happens.
const LOOK: Duration = Duration::from_millis(50);

/// Brings the tables up to date, as soon as the database is there. None: a signal came before it was.
pub(super) fn migrate(store: &dyn Store, signals: &Signals) -> Result<Option<()>, Failure> {
    let address = store.address();
    let mut outage = Outage::new(format!("the database {address}"));
    loop {
        match store.migrate() {
            Ok(done) => {
                outage.passed();
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
                    thread::sleep(LOOK);
                }
            }
            Err(cause) => return Err(Failure::failed(format!("{address}: {}", chain(&cause)))),
        }
    }
}
