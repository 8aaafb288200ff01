//! The databases that handlers use.

use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::{Found, in_time};
use crate::config::{DatabaseSettings, DatabaseUrl};

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

pub(super) async fn inspect(name: &str, settings: &DatabaseSettings) -> Found {
    let found = Found::new("database", name, settings.url.redacted());
    match in_time(version(&settings.url)).await {
        Ok(version) => Found {
            reached: true,
            version: Some(version),
            ..found
        },
        Err(problem) => found.failed(problem),
    }
}

async fn version(url: &DatabaseUrl) -> Result<String, String> {
    // A macro, as the connections share no trait that one function could name.
    macro_rules! ask {
        ($connection:ty, $url:expr, $query:literal) => {{
            let mut connection = <$connection>::establish($url)
                .await
                .map_err(|cause| cause.to_string())?;
            let answer: Result<Version, _> =
                RunQueryDsl::get_result(diesel::sql_query($query), &mut connection).await;
            answer
                .map(|row| row.version)
                .map_err(|cause| cause.to_string())
        }};
    }
    match url {
        DatabaseUrl::Mysql(url) => {
            let connection = crate::address::mysql::connect(url.expose()).await;
            let mut connection = connection.map_err(|cause| cause.to_string())?;
            let query = diesel::sql_query("SELECT version() AS version");
            let answer: Result<Version, _> = query.get_result(&mut connection).await;
            answer
                .map(|row| row.version)
                .map_err(|cause| cause.to_string())
        }
        DatabaseUrl::Postgres(url) => {
            let connection = crate::address::postgres::connect(url.expose()).await;
            let mut connection = connection.map_err(|cause| cause.to_string())?;
            let query = diesel::sql_query("SELECT version() AS version");
            let answer: Result<Version, _> = query.get_result(&mut connection).await;
            answer
                .map(|row| row.version)
                .map_err(|cause| cause.to_string())
        }
        DatabaseUrl::Sqlite(path) => {
            // Opening would make it.
            if !path.is_file() {
                return Err("there is no such file".to_owned());
            }
            let version: String = ask!(
                SyncConnectionWrapper<SqliteConnection>,
                &path.to_string_lossy(),
                "SELECT sqlite_version() AS version"
            )?;
            Ok(format!("SQLite {version}"))
        }
    }
}
