//! A small system for commands and cron processes that write and claim nothing: DbActor without heartbeats.

use std::sync::Arc;

use actix::Actor;
use actix_rt::{Arbiter, System};

use super::failure::{Failure, chain};
use crate::config::Config;
use crate::db::{Db, DbActor, Store, store};
use crate::gone::GoneNotice;

/// The daemon's own database.
pub(super) fn own_store(config: &Config) -> Arc<dyn Store> {
    store(&config.settings.database)
}

/// Brings the tables up to date; a command may come before the first daemon.
pub(super) fn migrated_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let store = own_store(config);
    store
        .migrate()
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    Ok(store)
}

/// A DbActor on an Arbiter of its own. To be called inside a System.
pub(super) fn start_db(store: &Arc<dyn Store>) -> Db {
    let db = Db::new(store.reader());
    let store = Arc::clone(store);
    let arbiter = Arbiter::new();
    let addr = DbActor::start_in_arbiter(&arbiter.handle(), move |_| {
        DbActor::new(store, None, GoneNotice::none())
    });
    db.set_actor(Some(addr));
    db
}

/// Runs a piece of work in a System of its own.
pub(super) fn in_system<F: Future>(work: F) -> F::Output {
    System::new().block_on(work)
}
