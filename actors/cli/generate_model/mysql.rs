//! The tables of a MySQL or MariaDB database, and what their columns are held as.

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use super::table::{Column, Held, Listed, Table, of_columns};

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_is: String,
    #[diesel(sql_type = Text)]
    table_kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    base: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = BigInt)]
    is_nullable: i64,
    #[diesel(sql_type = BigInt)]
    is_generated: i64,
    #[diesel(sql_type = Text)]
    remark: String,
    #[diesel(sql_type = BigInt)]
    key_part: i64,
}

const COLUMNS: &str = "
    SELECT CAST(t.table_name AS CHAR) AS table_is, CAST(t.table_type AS CHAR) AS table_kind,
        CAST(c.column_name AS CHAR) AS name, CAST(c.data_type AS CHAR) AS base, CAST(c.column_type AS CHAR) AS declared,
        CAST(c.is_nullable = 'YES' AS SIGNED) AS is_nullable,
        CAST(COALESCE(c.generation_expression, '') <> '' OR UPPER(c.extra) LIKE '%ROW START%' AS SIGNED) AS is_generated,
        CAST(c.column_comment AS CHAR) AS remark, CAST(COALESCE(s.seq_in_index, 0) AS SIGNED) AS key_part
    FROM information_schema.tables t
    JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
    LEFT JOIN information_schema.statistics s ON s.table_schema = t.table_schema AND s.table_name = t.table_name
        AND s.index_name = 'PRIMARY' AND s.column_name = c.column_name
    WHERE t.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
    ORDER BY t.table_name, c.ordinal_position";

pub(super) async fn tables(
    connection: &mut AsyncMysqlConnection,
) -> Result<(String, Vec<Table>), String> {
    let plain = |cause: diesel::result::Error| cause.to_string();
    let name: NameRow = sql_query("SELECT CAST(DATABASE() AS CHAR) AS name")
        .get_result(connection)
        .await
        .map_err(plain)?;
    let rows: Vec<ColumnRow> = sql_query(COLUMNS).load(connection).await.map_err(plain)?;
    let listed = rows.into_iter().map(|row| Listed {
        is_view: row.table_kind == "VIEW",
        key_part: row.key_part,
        column: Column {
            held: held(&row.base, &row.declared),
            name: row.name,
            declared: row.declared,
            comment: row.remark,
            is_nullable: row.is_nullable != 0,
            is_generated: row.is_generated != 0,
        },
        table: row.table_is,
    });
    Ok((name.name, of_columns(listed)))
}

fn held(base: &str, declared: &str) -> Result<Held, String> {
    let base = base.to_lowercase();
    let declared = declared.to_lowercase();
    let is_unsigned = declared.contains("unsigned");
    let whole = |sql: &str, signed: &str, unsigned: &str| match is_unsigned {
        true => Held::of(&format!("Unsigned<{sql}>"), unsigned),
        false => Held::of(sql, signed),
    };
    Ok(match base.as_str() {
        "tinyint" if declared.starts_with("tinyint(1)") && !is_unsigned => {
            Held::of("Bool", "bool").noted("`tinyint(1)` is how MySQL writes BOOLEAN")
        }
        "tinyint" => whole("TinyInt", "i8", "u8"),
        "smallint" => whole("SmallInt", "i16", "u16"),
        "mediumint" | "int" => whole("Integer", "i32", "u32"),
        "bigint" => whole("BigInt", "i64", "u64"),
        "year" => Held::of("SmallInt", "i16"),
        "float" => Held::of("Float", "f32"),
        "double" => Held::of("Double", "f64"),
        "decimal" => Held::of("Numeric", "bigdecimal::BigDecimal").needs("numeric"),
        "date" => Held::of("Date", "chrono::NaiveDate").needs("chrono"),
        "time" => Held::of("Time", "chrono::NaiveTime")
            .needs("chrono")
            .noted("a time of day: what is negative or beyond 24 hours cannot be read"),
        "datetime" => Held::of("Datetime", "chrono::NaiveDateTime").needs("chrono"),
        "timestamp" => Held::of("Timestamp", "chrono::NaiveDateTime")
            .needs("chrono")
            .noted("in the zone of the session"),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            Held::of("Text", "String")
        }
        "enum" | "set" => Held::of("Text", "String")
            .noted("as text: words that a later migration adds can still be read"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" => {
            Held::of("Binary", "Vec<u8>")
        }
        "json" => Held::of("Json", "serde_json::Value").needs("serde_json"),
        "uuid" | "inet4" | "inet6" => {
            Held::of("Text", "String").noted("as the text that MariaDB sends")
        }
        _ => return Err(format!("diesel has no type for MySQL's `{base}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_and_booleans_are_distinguished() {
        for (base, declared, rust) in [
            ("tinyint", "tinyint(1)", "bool"),
            ("tinyint", "tinyint(1) unsigned", "u8"),
            ("tinyint", "tinyint", "i8"),
            ("mediumint", "mediumint unsigned", "u32"),
            ("bigint", "bigint(20) unsigned", "u64"),
            ("enum", "enum('a','unsigned')", "String"),
        ] {
            assert_eq!(held(base, declared).unwrap().rust, rust, "{declared}");
        }
        assert!(held("point", "point").is_err());
    }
}
