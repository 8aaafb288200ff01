//! The tables of an SQLite file, and what their columns are held as.
//!
//! The declared type decides, as it is all that SQLite knows of a column. Whole numbers are 64 bits wide whatever the
//! type is called: SQLite stores them so, and diesel would cut a larger one without a word.

use std::path::Path;

use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use super::table::{Column, Held, Table};

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = BigInt)]
    is_set: i64,
    #[diesel(sql_type = BigInt)]
    key_part: i64,
    #[diesel(sql_type = BigInt)]
    hidden: i64,
}

/// Of `pragma_table_xinfo`: a column that is computed, in the table or when it is read; 1 is one of a virtual table that
/// `*` does not select.
const COMPUTED: [i64; 2] = [2, 3];

pub(super) fn tables(file: &Path) -> Result<(String, Vec<Table>), String> {
    // Opening would make it.
    std::fs::metadata(file).map_err(|cause| cause.to_string())?;
    let mut connection =
        SqliteConnection::establish(&file.to_string_lossy()).map_err(|cause| cause.to_string())?;
    let rows: Vec<TableRow> = sql_query(
        "SELECT name, type AS kind FROM sqlite_schema \
         WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .load(&mut connection)
    .map_err(|cause| cause.to_string())?;
    let tables: Result<Vec<Table>, String> = rows
        .into_iter()
        .map(|row| table(&mut connection, row))
        .collect();
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), tables?))
}

fn table(connection: &mut SqliteConnection, row: TableRow) -> Result<Table, String> {
    let rows: Vec<ColumnRow> = sql_query(
        "SELECT name, type AS declared, \"notnull\" AS is_set, pk AS key_part, hidden FROM pragma_table_xinfo(?) \
         WHERE hidden <> 1 ORDER BY cid",
    )
    .bind::<Text, _>(&row.name)
    .load(connection)
    .map_err(|cause| cause.to_string())?;
    let mut key: Vec<(i64, String)> = rows
        .iter()
        .filter(|column| column.key_part > 0)
        .map(|column| (column.key_part, column.name.clone()))
        .collect();
    key.sort();
    let columns = rows.into_iter().map(|column| Column {
        held: held(&column.declared),
        // diesel takes no key that may be NULL.
        is_nullable: column.is_set == 0 && column.key_part == 0,
        is_generated: COMPUTED.contains(&column.hidden),
        name: column.name,
        declared: column.declared,
        comment: String::new(),
    });
    Ok(Table {
        columns: columns.collect(),
        is_view: row.kind == "view",
        key: key.into_iter().map(|(_, name)| name).collect(),
        name: row.name,
    })
}

fn held(declared: &str) -> Result<Held, String> {
    let base = declared.split('(').next().unwrap_or_default();
    let base = base.trim().to_lowercase();
    let has = |part: &str| base.contains(part);
    Ok(match base.as_str() {
        "bool" | "boolean" => Held::of("Bool", "bool"),
        "date" => Held::of("Date", "chrono::NaiveDate").needs("chrono"),
        "time" => Held::of("Time", "chrono::NaiveTime").needs("chrono"),
        "datetime" | "timestamp" => Held::of("Timestamp", "chrono::NaiveDateTime").needs("chrono"),
        "json" => Held::of("Json", "serde_json::Value").needs("serde_json"),
        "jsonb" => Held::of("Jsonb", "serde_json::Value").needs("serde_json"),
        "numeric" | "decimal" => {
            Held::of("Double", "f64").noted("SQLite keeps it as a floating point number")
        }
        "" => return Err("no type is declared, so that SQLite keeps values of any".to_owned()),
        // The rules of SQLite itself, in their order.
        _ if has("int") => Held::of("BigInt", "i64"),
        _ if has("char") || has("clob") || has("text") => Held::of("Text", "String"),
        _ if has("blob") => Held::of("Binary", "Vec<u8>"),
        _ if has("real") || has("floa") || has("doub") => Held::of("Double", "f64"),
        _ => {
            return Err(format!(
                "SQLite knows no type `{base}`, so that it keeps numbers and texts alike in it"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_type_decides() {
        for (declared, sql) in [
            ("INTEGER", "BigInt"),
            ("unsigned big int", "BigInt"),
            ("VARCHAR(20)", "Text"),
            ("BLOB", "Binary"),
            ("real", "Double"),
            ("DECIMAL(10,2)", "Double"),
            ("datetime", "Timestamp"),
            ("jsonb", "Jsonb"),
        ] {
            assert_eq!(held(declared).unwrap().sql, sql, "{declared}");
        }
        for declared in ["", "ANY", "MONEY"] {
            assert!(held(declared).is_err(), "{declared}");
        }
    }
}
