//! One database on a server.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::dialect;
use super::migrate;
use super::reader::ServerReader;
use super::writer::ServerWriter;
use crate::config::Secret;
use crate::store::error::DbError;
use crate::store::migrations::print;
use crate::store::rows::Inspection;
use crate::store::traits::{Reader, Store, Writer, Writers};

/// Connections that are not for questions: three that write, one for heartbeats.
const NOT_FOR_QUESTIONS: u32 = 4;

/// See the module's header.
pub(in crate::store) struct ServerStore {
    url: Secret,
    /// The address without secrets.
    address: String,
    reader: Arc<ServerReader>,
}

impl ServerStore {
    pub(in crate::store) fn new(url: Secret, address: String, max_connections: u32) -> Self {
        let for_questions = max_connections.saturating_sub(NOT_FOR_QUESTIONS).max(1);
        Self {
            reader: Arc::new(ServerReader::new(url.clone(), for_questions)),
            url,
            address,
        }
    }
}

impl Store for ServerStore {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        on_a_runtime(|| migrate::migrate(self.url.clone()))
    }

    fn statements(&self) -> String {
        print(dialect::MIGRATIONS)
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        on_a_runtime(|| migrate::inspect(self.url.clone()))
    }

    fn writers(&self) -> Writers {
        Writers::Many
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        let url = self.url.clone();
        async move {
            let writer = ServerWriter::open(url).await?;
            Ok(Box::new(writer) as Box<dyn Writer>)
        }
        .boxed_local()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.reader) as Arc<dyn Reader>
    }
}

/// Runs it to its end, on a thread and a runtime of its own: the caller may be inside of one.
fn on_a_runtime<T, F, Fut>(work: F) -> Result<T, DbError>
where
    T: Send,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<T, DbError>>,
{
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| DbError::Migrate(cause.to_string()))?;
        runtime.block_on(work())
    };
    std::thread::scope(|scope| {
        let ran = scope.spawn(run).join();
        ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
