//! A small system for commands and cron processes that write and claim nothing: DbActor without heartbeats.

use std::sync::Arc;

use actix::Actor;
use actix_rt::task::spawn_blocking;
use actix_rt::{Arbiter, System};
use futures_util::future::LocalBoxFuture;

use super::failure::{Failure, chain};
use crate::config::Config;
use crate::db::{Db, DbActor};
use crate::drop_notice::GoneNotice;
use crate::store::rows::Inspection;
use crate::store::{DbError, Reader, Store, Writer, adapter};

/// The daemon's own database.
pub(crate) fn own_store(config: &Config) -> Arc<dyn Store> {
    adapter(&config.settings.database)
}

/// Brings the tables up to date; a command may come before the first daemon.
pub(crate) fn migrated_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let store = own_store(config);
    store
        .migrate()
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    Ok(store)
}

/// Brings the tables up to date before the first write, if there is any.
pub(crate) fn lazily_migrated_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    Ok(Arc::new(MigratesFirst(own_store(config))))
}

struct MigratesFirst(Arc<dyn Store>);

impl Store for MigratesFirst {
    fn address(&self) -> String {
        self.0.address()
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        self.0.migrate()
    }

    fn statements(&self) -> String {
        self.0.statements()
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        self.0.inspect()
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let migrating = Arc::clone(&store);
            let migrated = spawn_blocking(move || migrating.migrate()).await;
            // The tables may be there all the same, made by a user with the right to make them.
            if let Ok(Err(cause)) = migrated {
                log::warn!("the tables are not brought up to date: {}", chain(&cause));
            }
            store.writer().await
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.reader()
    }
}

/// A DbActor on an Arbiter of its own. To be called inside a System.
pub(crate) fn start_db(store: &Arc<dyn Store>) -> Db {
    let db = Db::new(store.as_ref());
    let (store, outage) = (Arc::clone(store), db.outage());
    let arbiter = Arbiter::new();
    let addr = DbActor::start_in_arbiter(&arbiter.handle(), move |_| {
        DbActor::new(store, outage, None, GoneNotice::none())
    });
    db.set_actor(Some(addr));
    db
}

/// Runs a piece of work in a System of its own.
pub(crate) fn in_system<F: Future>(work: F) -> F::Output {
    System::new().block_on(work)
}
