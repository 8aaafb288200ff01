//! The tables of a PostgreSQL database, and what their columns are held as: those of the first schema of the search path.

use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::names;
use super::table::{Column, Enumeration, Held, Listed, Table, of_columns};

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_is: String,
    #[diesel(sql_type = Bool)]
    is_view: bool,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = Bool)]
    is_nullable: bool,
    #[diesel(sql_type = Bool)]
    is_generated: bool,
    #[diesel(sql_type = Text)]
    remark: String,
    #[diesel(sql_type = BigInt)]
    key_part: i64,
    #[diesel(sql_type = Bool)]
    is_array: bool,
    #[diesel(sql_type = Text)]
    base: String,
    #[diesel(sql_type = Text)]
    base_schema: String,
    #[diesel(sql_type = Array<Text>)]
    words: Vec<String>,
}

/// A domain is held as what it is made of. An array's element may be a domain too.
const COLUMNS: &str = "
    WITH RECURSIVE bare AS (
        SELECT oid AS of, oid, typtype, typbasetype FROM pg_type
        UNION ALL
        SELECT bare.of, t.oid, t.typtype, t.typbasetype FROM bare JOIN pg_type t
            ON bare.typtype = 'd' AND t.oid = bare.typbasetype
    )
    SELECT c.relname::text AS table_is, c.relkind IN ('v', 'm') AS is_view, a.attname::text AS name,
        format_type(a.atttypid, a.atttypmod) AS declared, NOT a.attnotnull AND w.typnotnull IS NOT TRUE AS is_nullable,
        a.attgenerated <> '' OR a.attidentity = 'a' AS is_generated,
        COALESCE(col_description(c.oid, a.attnum), '') AS remark,
        COALESCE(array_position(i.indkey::int2[], a.attnum)::bigint + 1, 0) AS key_part,
        t.typcategory = 'A' AND t.typelem <> 0 AS is_array, e.typname::text AS base, n.nspname::text AS base_schema,
        ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = e.oid ORDER BY l.enumsortorder) AS words
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type w ON w.oid = a.atttypid
    JOIN bare b ON b.of = a.atttypid AND b.typtype <> 'd'
    JOIN pg_type t ON t.oid = b.oid
    JOIN bare d ON d.of = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
        AND d.typtype <> 'd'
    JOIN pg_type e ON e.oid = d.oid
    JOIN pg_namespace n ON n.oid = e.typnamespace
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname, a.attnum";

pub(super) async fn tables(
    connection: &mut AsyncPgConnection,
) -> Result<(String, Vec<Table>), String> {
    let plain = |cause: diesel::result::Error| cause.to_string();
    let name: NameRow = sql_query("SELECT current_database()::text AS name")
        .get_result(connection)
        .await
        .map_err(plain)?;
    let rows: Vec<ColumnRow> = sql_query(COLUMNS).load(connection).await.map_err(plain)?;
    let listed = rows.into_iter().map(|row| Listed {
        is_view: row.is_view,
        key_part: row.key_part,
        column: Column {
            held: of_row(&row),
            name: row.name,
            declared: row.declared,
            comment: row.remark,
            is_nullable: row.is_nullable,
            is_generated: row.is_generated,
        },
        table: row.table_is,
    });
    Ok((name.name, of_columns(listed)))
}

fn of_row(row: &ColumnRow) -> Result<Held, String> {
    let held = match row.words.is_empty() {
        true => held(&row.base)?,
        false => enumeration(row),
    };
    Ok(match row.is_array {
        // An element may be NULL, whatever the column's type is.
        true => held.within("Array<Nullable<{}>>", "Vec<Option<{}>>"),
        false => held,
    })
}

/// A text with a type of its own: PostgreSQL takes no plain text for such a column.
fn enumeration(row: &ColumnRow) -> Held {
    let name = names::pascal(&row.base);
    let held = Held::of(&format!("{name}Type"), &format!("super::sql_types::{name}"));
    Held {
        own: Some(Enumeration {
            schema: row.base_schema.clone(),
            name: row.base.clone(),
            words: row.words.clone(),
        }),
        ..held.noted("as text: words that a later migration adds can still be read")
    }
}

fn held(base: &str) -> Result<Held, String> {
    let range = |sql: &str, bound: &str| {
        Held::of(
            sql,
            &format!("(std::ops::Bound<{bound}>, std::ops::Bound<{bound}>)"),
        )
    };
    let multirange = |base: &str| {
        let inner = held(&base.replace("multirange", "range"))?;
        Ok::<_, String>(Held {
            sql: inner.sql.replace("range", "multirange"),
            rust: format!("Vec<{}>", inner.rust),
            ..inner
        })
    };
    Ok(match base {
        "bool" => Held::of("Bool", "bool"),
        "int2" => Held::of("SmallInt", "i16"),
        "int4" => Held::of("Integer", "i32"),
        "int8" => Held::of("BigInt", "i64"),
        "float4" => Held::of("Float", "f32"),
        "float8" => Held::of("Double", "f64"),
        "numeric" => Held::of("Numeric", "bigdecimal::BigDecimal").needs("numeric"),
        "oid" => Held::of("Oid", "u32"),
        "char" => Held::of("CChar", "u8"),
        "text" | "varchar" | "bpchar" | "name" => Held::of("Text", "String"),
        "citext" => Held::of("Citext", "String"),
        "bytea" => Held::of("Binary", "Vec<u8>"),
        "date" => Held::of("Date", "chrono::NaiveDate").needs("chrono"),
        "time" => Held::of("Time", "chrono::NaiveTime").needs("chrono"),
        "timestamp" => Held::of("Timestamp", "chrono::NaiveDateTime").needs("chrono"),
        "timestamptz" => Held::of("Timestamptz", "chrono::DateTime<chrono::Utc>").needs("chrono"),
        "interval" => Held::of("Interval", "diesel::data_types::PgInterval").without_serde(),
        "money" => Held::of("Money", "diesel::data_types::PgMoney").without_serde(),
        "pg_lsn" => Held::of("PgLsn", "diesel::pg::data_types::PgLsn").without_serde(),
        "json" => Held::of("Json", "serde_json::Value").needs("serde_json"),
        "jsonb" => Held::of("Jsonb", "serde_json::Value").needs("serde_json"),
        "uuid" => Held::of("Uuid", "uuid::Uuid").needs("uuid"),
        "inet" => Held::of("Inet", "ipnet::IpNet").needs("ipnet-address"),
        "cidr" => Held::of("Cidr", "ipnet::IpNet").needs("ipnet-address"),
        "macaddr" => Held::of("MacAddr", "[u8; 6]"),
        "macaddr8" => Held::of("MacAddr8", "[u8; 8]"),
        "int4range" => range("Int4range", "i32"),
        "int8range" => range("Int8range", "i64"),
        "numrange" => range("Numrange", "bigdecimal::BigDecimal").needs("numeric"),
        "daterange" => range("Daterange", "chrono::NaiveDate").needs("chrono"),
        "tsrange" => range("Tsrange", "chrono::NaiveDateTime").needs("chrono"),
        "tstzrange" => range("Tstzrange", "chrono::DateTime<chrono::Utc>").needs("chrono"),
        "int4multirange" | "int8multirange" | "nummultirange" | "datemultirange"
        | "tsmultirange" | "tstzmultirange" => multirange(base)?,
        _ => return Err(format!("diesel has no type for PostgreSQL's `{base}`")),
    })
}
