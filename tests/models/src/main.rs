//! Puts a row of every type in and out, with models that `generate-model` wrote: `models BACKEND URL`, with BACKEND
//! `sqlite`, `mariadb`, `mysql` or `postgres`.

use diesel::{Connection, SelectableHelper, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};
use serde_json::{Value, json};

use model::{mariadb, mysql, postgres, sqlite};

mod model;

/// A row goes in, comes back equal, is written over itself, and comes back again.
macro_rules! round_trip {
    ($connection:expr, $table:path, $model:ty, $row:expr $(, $wait:tt)?) => {{
        let row: $model = $row;
        diesel::insert_into($table).values(&row).execute($connection)$(.$wait)?.unwrap();
        for _ in 0..2 {
            let back: $model = $table.select(<$model>::as_select()).first($connection)$(.$wait)?.unwrap();
            assert_eq!(back, row);
            diesel::update($table).set(&row).execute($connection)$(.$wait)?.unwrap();
        }
    }};
}

/// As serde reads it; what it writes is the same again.
fn row<T: serde::de::DeserializeOwned + serde::Serialize>(value: Value) -> T {
    let row: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&row).unwrap(), value);
    row
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match args[1].as_str() {
        "sqlite" => in_sqlite(&args[2]),
        "mariadb" => runtime.block_on(in_mariadb(&args[2])),
        "mysql" => runtime.block_on(in_mysql(&args[2])),
        "postgres" => runtime.block_on(in_postgres(&args[2])),
        other => panic!("{other}"),
    }
    println!("equal");
}

fn in_sqlite(file: &str) {
    use diesel::{QueryDsl, RunQueryDsl};
    let c = &mut SqliteConnection::establish(file).unwrap();
    let every = json!({
        "id": i64::MAX, "a_bool": true, "a_small": -7, "a_big": i64::MIN, "a_text": "测", "a_char": "x",
        "a_blob": [0, 255], "a_real": 0.5, "a_double": 1e300, "a_decimal": 12.25, "a_date": "2026-02-28",
        "a_time": "23:59:58", "a_datetime": "2026-02-28T23:59:58", "a_json": {"a": [1, null]}, "a_jsonb": [1],
        "type": null, "Mixed Case": 3,
    });
    round_trip!(c, sqlite::every::every::table, sqlite::every::Every, row(every));
    let pair = json!({"b": 1, "a": "x", "n": null});
    round_trip!(c, sqlite::pair::pair::table, sqlite::pair::Pair, row(pair));
    let seen: sqlite::seen::Seen =
        sqlite::seen::seen::table.select(sqlite::seen::Seen::as_select()).first(c).unwrap();
    assert_eq!(seen.n, None);
    assert_eq!(sqlite::DB_ONE, "one");
}

/// What MariaDB and MySQL have both.
fn of_mysql() -> Value {
    json!({
        "id": u64::MAX, "a_bool": true, "a_tiny": -128, "a_utiny": 255, "a_small": -32768, "a_usmall": 65535,
        "a_medium": -8388608, "a_umedium": 16777215, "a_int": i32::MIN, "a_uint": u32::MAX, "a_big": i64::MIN,
        "a_year": 2026, "a_float": 0.5, "a_double": 1e300, "a_decimal": "-12345.67", "a_udecimal": "3.50",
        "a_date": "2026-02-28", "a_time": "23:59:58", "a_datetime": "2026-02-28T23:59:58.123456",
        "a_timestamp": "2026-02-28T23:59:58", "a_char": "x", "a_varchar": "测", "a_text": "t", "a_longtext": "l",
        "a_enum": "two", "a_set": "a,c", "a_binary": [1, 2, 3], "a_varbinary": [0], "a_blob": [0, 255], "a_bit": [5],
        "type": null, "table": 4,
    })
}

/// A JSON column is text to MariaDB.
fn with_json(mut row: Value, json: Value) -> Value {
    row["a_json"] = json;
    row
}

async fn in_mariadb(url: &str) {
    use diesel::QueryDsl;
    use diesel_async::RunQueryDsl;
    let c = &mut AsyncMysqlConnection::establish(url).await.unwrap();
    let mut every = with_json(of_mysql(), json!("{\"a\": 1}"));
    every["a_uuid"] = json!("123e4567-e89b-12d3-a456-426655440000");
    every["a_inet"] = json!("2001:db8::1");
    round_trip!(c, mariadb::every::every::table, mariadb::every::Every, row(every), await);
    let pair = json!({"b": 1, "a": "x", "n": null});
    round_trip!(c, mariadb::pair::pair::table, mariadb::pair::Pair, row(pair), await);
}

async fn in_mysql(url: &str) {
    use diesel::QueryDsl;
    use diesel_async::RunQueryDsl;
    let c = &mut AsyncMysqlConnection::establish(url).await.unwrap();
    let every = with_json(of_mysql(), json!({"a": 1}));
    round_trip!(c, mysql::every::every::table, mysql::every::Every, row(every), await);
    let pair = json!({"b": 1, "a": "x", "n": null});
    round_trip!(c, mysql::pair::pair::table, mysql::pair::Pair, row(pair), await);
}

async fn in_postgres(url: &str) {
    use diesel::QueryDsl;
    use diesel::data_types::{PgInterval, PgMoney};
    use diesel::pg::data_types::PgLsn;
    use diesel_async::RunQueryDsl;
    let c = &mut AsyncPgConnection::establish(url).await.unwrap();
    let every = json!({
        "id": i64::MAX, "a_bool": true, "a_int2": -32768, "a_int4": i32::MIN, "a_float4": 0.5, "a_float8": 1e300,
        "a_numeric": "-12345.6789", "a_text": "测", "a_varchar": "v", "a_char": "xy", "a_name": "n", "a_byte": 65,
        "a_bytea": [0, 255], "a_date": "2026-02-28", "a_time": "23:59:58.123456", "a_timestamp": "2026-02-28T23:59:58",
        "a_timestamptz": "2026-02-28T23:59:58Z", "a_json": {"a": 1}, "a_jsonb": [1, null],
        "a_uuid": "123e4567-e89b-12d3-a456-426655440000", "a_inet": "10.0.0.7/8", "a_cidr": "2001:db8::/32",
        "a_mac": [1, 2, 3, 4, 5, 6], "a_mac8": [1, 2, 3, 4, 5, 6, 7, 8], "a_oid": u32::MAX, "a_mood": "so so",
        "a_mood_or_none": null, "a_moods": ["good", null], "a_domain": 5, "an_array": [1, null, 3],
        "a_matrix_of_text": ["a", null], "a_int4range": [{"Included": 1}, {"Excluded": 5}],
        "a_tstzrange": ["Unbounded", {"Excluded": "2026-02-28T23:59:58Z"}],
        "a_multirange": [[{"Included": 1}, {"Excluded": 5}], [{"Included": 7}, "Unbounded"]],
        "type": null, "Mixed Case": 3,
    });
    round_trip!(c, postgres::every::every::table, postgres::every::Every, row(every), await);
    let pair = json!({"b": 1, "a": "x", "n": null});
    round_trip!(c, postgres::pair::pair::table, postgres::pair::Pair, row(pair), await);
    let bare = postgres::bare::Bare {
        id: 1,
        a_money: PgMoney(1234),
        a_interval: Some(PgInterval { microseconds: 1, days: 2, months: 3 }),
        a_lsn: PgLsn(77),
    };
    round_trip!(c, postgres::bare::bare::table, postgres::bare::Bare, bare, await);
}
