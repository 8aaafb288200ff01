//! Whether the tables are ours. A database on a server may be another program's too, and some of our tables have names
//! that anybody would choose; what does not fit is told at the start, not by every write.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, verdict};
use super::migrate::failed;
use super::schema::{commit_mark, delay_queue_log};
use crate::db::error::DbError;
use crate::db::schema::{boot, cron_entry, cron_run, dead_letter, death, queue_message};
use crate::db::verdict::Verdict;

pub(super) async fn refuse_others(connection: &mut Connection) -> Result<(), DbError> {
    macro_rules! look {
        ($($table:ident)*) => {
            $(
                let columns = $table::table.limit(0).execute(connection).await;
                told(stringify!($table), columns)?;
            )*
        };
    }
    look!(delay_queue_log boot queue_message dead_letter death cron_entry cron_run commit_mark);
    Ok(())
}

fn told(table: &str, columns: QueryResult<usize>) -> Result<(), DbError> {
    match columns {
        Ok(_) => Ok(()),
        Err(error) if verdict(&error) == Verdict::Refused => Err(DbError::Migrate(format!(
            "the table `{table}` is not as this program makes it: {error}; where another program has a table of this \
             name, give one of the two a database of its own"
        ))),
        Err(error) => Err(failed(error)),
    }
}
