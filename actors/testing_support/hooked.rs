//! A real database with a hook before and after each transaction: one that hangs, or whose adapter panics.

use std::sync::Arc;

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::store::rows::{BootRow, Heartbeat, Inspection};
use crate::store::{Applied, DbError, Reader, Store, Write, Writer};

/// Gets a transaction's writes, and holds it up until the future is done.
pub(crate) type Hook = Arc<dyn Fn(Arc<[Write]>) -> BoxFuture<'static, ()> + Send + Sync>;

/// See the module's header.
pub(crate) struct HookedStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) before: Hook,
    pub(crate) after: Hook,
}

struct HookedWriter {
    writer: Box<dyn Writer>,
    before: Hook,
    after: Hook,
}

/// Does nothing.
pub(crate) fn no_hook() -> Hook {
    Arc::new(|_| Box::pin(std::future::ready(())))
}

impl Store for HookedStore {
    fn address(&self) -> String {
        self.store.address()
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        self.store.migrate()
    }

    fn statements(&self) -> String {
        self.store.statements()
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        self.store.inspect()
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        let writer = self.store.writer();
        let (before, after) = (Arc::clone(&self.before), Arc::clone(&self.after));
        Box::pin(async move {
            let writer = writer.await?;
            let hooked = HookedWriter {
                writer,
                before,
                after,
            };
            Ok(Box::new(hooked) as Box<dyn Writer>)
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }
}

impl Writer for HookedWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        Box::pin(async move {
            (self.before)(Arc::clone(&batch)).await;
            let applied = self.writer.apply(Arc::clone(&batch)).await;
            (self.after)(batch).await;
            applied
        })
    }

    fn heartbeat(&mut self, boot: &BootRow) -> LocalBoxFuture<'_, Result<Heartbeat, DbError>> {
        self.writer.heartbeat(boot)
    }
}
