//! Whether the file takes writes: what fails while it does fails for what is in it.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use rustix::fs::statvfs;

use super::connection::Connection;
use super::writer::transaction;
use crate::store::error::DbError;

/// With less room than this a disk is full for one write and not for the next, whichever is smaller. None of them is to
/// be refused for that.
const ROOM: u64 = 64 << 20;

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    user_version: i64,
    #[diesel(sql_type = BigInt)]
    page_size: i64,
    #[diesel(sql_type = BigInt)]
    pages_left: i64,
    #[diesel(sql_type = Text)]
    file: String,
}

const SIZE: &str = "
    SELECT user_version, page_size, max_page_count - page_count AS pages_left, file
    FROM pragma_user_version, pragma_page_size, pragma_max_page_count, pragma_page_count, pragma_database_list
    WHERE name = 'main'";

/// Writes what no trigger sees and what needs no new page: the number that SQLite leaves to applications, as it is. Setting
/// it writes its page whether it changes or not.
pub(super) fn ping(connection: &mut Connection) -> Result<(), DbError> {
    let size: Size = transaction(connection, |connection| {
        let size: Size = diesel::sql_query(SIZE).get_result(&mut connection.inner)?;
        connection.batch_execute(&format!("PRAGMA user_version = {}", size.user_version))?;
        Ok(size)
    })?;
    let left = size.pages_left.saturating_mul(size.page_size);
    let left = u64::try_from(left).unwrap_or(0);
    // Where the system does not say, there may be room.
    let folder = Path::new(&size.file).parent().unwrap_or(Path::new("/"));
    let free = statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match left.min(free) {
        ROOM.. => Ok(()),
        left => Err(DbError::Away(format!(
            "there is room for {left} bytes more, of the file or of its disk"
        ))),
    }
}
