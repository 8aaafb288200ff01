//! Opens the database file the way every process of ours must.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use url::Url;

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

/// A connection to the file. A missing one is an error: SQLite would make an empty file in the place of one that was
/// removed, and it would be taken for a file that somebody had put there.
pub(super) fn open(path: &Path) -> Result<SqliteConnection, DbError> {
    let failed = |cause: String| DbError::Open {
        path: path.to_owned(),
        cause,
    };
    let mut connection = establish(path).map_err(failed)?;
    let set = connection.batch_execute(PRAGMAS);
    set.map_err(|error| match judged(&error, Step::Around) {
        away @ DbError::Away(_) => away,
        other => failed(other.into_text()),
    })?;
    Ok(connection)
}

/// The connection without the pragmas.
pub(super) fn establish(path: &Path) -> Result<SqliteConnection, String> {
    let absolute = std::path::absolute(path).map_err(|cause| cause.to_string())?;
    let mut address =
        Url::from_file_path(absolute).map_err(|()| "it cannot be written as a URI".to_owned())?;
    // <https://sqlite.org/uri.html>: for reading and writing, and never made.
    address.set_query(Some("mode=rw"));
    SqliteConnection::establish(address.as_str()).map_err(|cause| cause.to_string())
}
