//! Looks at the file for `check`, which changes nothing: no file is made, no journal mode set, no table added.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use super::MIGRATIONS;
use super::connect::establish;
use crate::store::error::DbError;
use crate::store::rows::{COUNT_CAP, Inspection};

/// A daemon beside us writes for milliseconds at a time.
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;";
/// Where diesel notes the migrations that were done.
const DONE: &str = "__diesel_schema_migrations";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

pub(super) fn inspect(path: &Path) -> Result<Inspection, DbError> {
    let failed = |cause: String| DbError::Open {
        path: path.to_owned(),
        cause,
    };
    let known = known().map_err(|cause| DbError::Migrate(cause.to_string()))?;
    match fs::metadata(path) {
        Ok(file) if file.is_file() => {}
        Ok(_) => return Err(failed("it is no file".to_owned())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return absent(path, known);
        }
        Err(cause) => return Err(failed(cause.to_string())),
    }
    let mut connection = establish(path).map_err(failed)?;
    connection
        .batch_execute(PRAGMAS)
        .map_err(|cause| failed(cause.to_string()))?;
    let found = read_all(&mut connection, known).map_err(|cause| failed(cause.to_string()))?;
    Ok(Inspection {
        exists: true,
        size_bytes: Some(size(path)),
        ..found
    })
}

/// The first start makes the file, if something lets it.
fn absent(path: &Path, pending: Vec<String>) -> Result<Inspection, DbError> {
    let mut directory = path.parent();
    while let Some(above) = directory.filter(|directory| !directory.as_os_str().is_empty()) {
        match fs::metadata(above) {
            Ok(found) if found.is_dir() => break,
            Ok(_) => {
                return Err(DbError::Open {
                    path: path.to_owned(),
                    cause: format!("`{}` is no directory", above.display()),
                });
            }
            Err(_) => directory = above.parent(),
        }
    }
    Ok(Inspection {
        pending,
        ..Inspection::default()
    })
}

fn read_all(connection: &mut SqliteConnection, known: Vec<String>) -> QueryResult<Inspection> {
    let version: Name =
        diesel::sql_query("SELECT sqlite_version() AS name").get_result(connection)?;
    let tables: Vec<Name> = diesel::sql_query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
    )
    .load(connection)?;
    let done: BTreeSet<String> = if tables.iter().any(|table| table.name == DONE) {
        let done: Vec<Name> =
            diesel::sql_query(format!("SELECT version AS name FROM {DONE}")).load(connection)?;
        done.into_iter().map(|row| row.name).collect()
    } else {
        BTreeSet::new()
    };
    let mut counts = Vec::new();
    for table in tables.into_iter().filter(|table| table.name != DONE) {
        counts.push((table.name.clone(), count(connection, &table.name)?));
    }
    Ok(Inspection {
        version: format!("SQLite {}", version.name),
        pending: known
            .into_iter()
            .filter(|version| !done.contains(version))
            .collect(),
        tables: counts,
        ..Inspection::default()
    })
}

fn count(connection: &mut SqliteConnection, table: &str) -> QueryResult<u64> {
    let table = table.replace('"', "\"\"");
    // One more than the cap, so that "exactly the cap" and "more" differ.
    let rows: Count = diesel::sql_query(format!(
        "SELECT COUNT(*) AS rows FROM (SELECT 1 FROM \"{table}\" LIMIT {})",
        COUNT_CAP + 1
    ))
    .get_result(connection)?;
    Ok(u64::try_from(rows.rows).unwrap_or(0))
}

/// The versions of all migrations of this program, in order.
fn known() -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)?;
    let mut versions: Vec<MigrationVersion<'static>> = migrations
        .iter()
        .map(|migration| migration.name().version().as_owned())
        .collect();
    versions.sort();
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// The file and its journal, which holds what is not yet moved into it.
fn size(path: &Path) -> u64 {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    [path.as_os_str(), &journal]
        .into_iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::*;
    use crate::store::traits::Store;

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/a.db");
        let found = inspect(&path).unwrap();
        assert!(!found.exists && !found.pending.is_empty() && found.tables.is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn after_the_migrations_none_is_pending_and_tables_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        SqliteStore::new(path.clone()).migrate().unwrap();
        let found = inspect(&path).unwrap();
        assert!(found.exists && found.pending.is_empty());
        assert!(found.tables.contains(&("queue_message".to_owned(), 0)));
        assert!(found.size_bytes > Some(0));
        assert!(found.version.starts_with("SQLite 3."), "{}", found.version);
    }

    #[test]
    fn a_file_of_another_kind_is_reported_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let text = "no database at all, but long enough to be inspected as if it were one";
        fs::write(&path, text.repeat(9)).unwrap();
        assert!(inspect(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text.repeat(9));
        assert!(inspect(dir.path()).is_err());
        assert!(inspect(&path.join("below.db")).is_err());
    }
}
