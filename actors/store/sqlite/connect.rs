//! Opens the database file the way every process of ours must.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use super::codes::{Step, judged};
use crate::store::error::DbError;

/// WAL lets readers go on beside the one writer. FULL syncs each commit to the disk: what is answered is durable,
/// power cuts included. The busy time-out (milliseconds) outlasts any transaction of ours; a longer wait means that
/// another process holds the file, and is reported as an outage.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
";

/// A connection to the file, which is made when it is missing.
pub(super) fn open(path: &Path) -> Result<SqliteConnection, DbError> {
    let failed = |cause: String| DbError::Open {
        path: path.to_owned(),
        cause,
    };
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|cause| failed(cause.to_string()))?;
    let set = connection.batch_execute(PRAGMAS);
    set.map_err(|error| match judged(&error, Step::Around) {
        away @ DbError::Away(_) => away,
        other => failed(other.into_text()),
    })?;
    Ok(connection)
}
