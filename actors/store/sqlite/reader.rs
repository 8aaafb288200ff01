//! What is asked without DbActor. A connection a question: they are rare, and an open one costs half a millisecond.

use std::sync::Arc;

use diesel::QueryResult;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::codes::{Step, judged};
use super::connection::{Connection, run};
use super::file::DatabaseFile;
use crate::store::error::DbError;

pub(super) struct SqliteReader {
    file: Arc<DatabaseFile>,
}

impl SqliteReader {
    pub(super) fn new(file: Arc<DatabaseFile>) -> Self {
        Self { file }
    }

    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, DbError>> {
        let file = Arc::clone(&self.file);
        async move {
            actix_rt::task::spawn_blocking(move || {
                let mut connection = Connection::new(file.open()?);
                run(question(&mut connection)).map_err(|error| judged(&error, Step::Around))
            })
            .await
            .map_err(|cause| DbError::Away(cause.to_string()))?
        }
        .boxed()
    }
}
