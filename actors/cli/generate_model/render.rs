//! The code made of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::names;
use super::table::{Backend, Column, Enumeration, Held, Table};

/// Columns of a table that diesel knows at most, with the feature that each number needs. 32 is among its defaults.
const WIDTHS: [(usize, Option<&str>); 4] = [
    (16, None),
    (32, Some("32-column-tables")),
    (64, Some("64-column-tables")),
    (128, Some("128-column-tables")),
];

/// A column that is held, under its name in Rust.
struct Field<'a> {
    name: String,
    column: &'a Column,
    held: &'a Held,
}

/// The file of one table, `module` its name.
pub(super) fn table(table: &Table, module: &str, backend: Backend) -> String {
    let kind = if table.is_view { "view" } else { "table" };
    let name = one_line(&table.name);
    let mut taken = BTreeSet::from([module.to_owned()]);
    let fields: Vec<Field<'_>> = table
        .columns
        .iter()
        .filter_map(|column| {
            let held = column.held.as_ref().ok()?;
            let name = names::free(names::snake(&column.name), &mut taken);
            Some(Field { name, column, held })
        })
        .collect();
    let width = WIDTHS.iter().find(|(most, _)| fields.len() <= *most);
    let left_out = match (without_table(table, &fields), width) {
        (None, None) => Some("diesel holds 128 columns of a table at most".to_owned()),
        (why, _) => why,
    };
    let mut text = format!("//! The {kind} `{name}`.\n//!\n");
    if let Some(why) = left_out {
        let _ = write!(text, "//! Left out: {why}.\n//! Its columns:\n");
        for column in &table.columns {
            let (name, declared) = (one_line(&column.name), one_line(&column.declared));
            let _ = writeln!(text, "//! - `{name}`: `{declared}`");
        }
        return text;
    }
    let mut features = BTreeSet::from([backend.feature()]);
    features.extend(fields.iter().filter_map(|field| field.held.feature));
    features.extend(width.and_then(|(_, feature)| *feature));
    let features: Vec<String> = features.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(text, "//! Features of diesel: {}.", features.join(", "));
    for column in &table.columns {
        if let Err(why) = &column.held {
            let (name, declared) = (one_line(&column.name), one_line(&column.declared));
            let _ = writeln!(
                text,
                "//!\n//! Left out: the column `{name}` (`{declared}`): {}.",
                one_line(why)
            );
        }
    }
    let is_serde = fields.iter().all(|field| field.held.is_serde);
    if !is_serde {
        text +=
            "//!\n//! Without serde's traits, which diesel's own types of values do not have.\n";
    }
    text.push('\n');
    schema(&mut text, table, module, &fields);
    model(&mut text, table, module, backend, &fields, is_serde);
    text
}

/// Why there is nothing for diesel.
fn without_table(table: &Table, fields: &[Field<'_>]) -> Option<String> {
    if fields.is_empty() {
        return Some("diesel can hold none of its columns".to_owned());
    }
    if table.is_view {
        return None;
    }
    if table.key.is_empty() {
        return Some("it has no primary key, and diesel's `table!` needs one".to_owned());
    }
    let lost = table.columns.iter().find_map(|column| {
        let why = column.held.as_ref().err()?;
        table
            .key
            .contains(&column.name)
            .then_some((&column.name, why))
    });
    lost.map(|(name, why)| format!("`{}` of its primary key: {}", one_line(name), one_line(why)))
}

/// Names of the key's fields. A view has none; `table!` wants one, and only `find` would use it.
fn key(table: &Table, fields: &[Field<'_>]) -> String {
    let named = |name: &String| {
        let field = fields.iter().find(|field| field.column.name == *name);
        field.map(|field| field.name.clone())
    };
    let names: Vec<String> = match table.is_view {
        true => fields
            .first()
            .map(|field| field.name.clone())
            .into_iter()
            .collect(),
        false => table.key.iter().filter_map(named).collect(),
    };
    names.join(", ")
}

fn schema(text: &mut String, table: &Table, module: &str, fields: &[Field<'_>]) {
    let own: BTreeSet<String> = fields
        .iter()
        .filter_map(|field| field.held.own.as_ref())
        .map(|own| format!("{}Type", names::pascal(&own.name)))
        .collect();
    if !own.is_empty() {
        text.push_str("use super::sql_types;\n\n");
    }
    text.push_str("diesel::table! {\n    use diesel::sql_types::*;\n");
    for name in own {
        let _ = writeln!(text, "    use super::sql_types::{name};");
    }
    text.push('\n');
    if table.is_view {
        text.push_str("    /// A view: its key is none, and is here because `table!` wants one.\n");
    }
    if module != table.name {
        let _ = writeln!(text, "    #[sql_name = {:?}]", table.name);
    }
    let _ = writeln!(text, "    {module} ({}) {{", key(table, fields));
    for Field { name, column, held } in fields {
        if *name != column.name {
            let _ = writeln!(text, "        #[sql_name = {:?}]", column.name);
        }
        let _ = writeln!(
            text,
            "        {name} -> {},",
            optional("Nullable", &held.sql, column)
        );
    }
    text.push_str("    }\n}\n\n");
}

fn optional(wrapper: &str, held: &str, column: &Column) -> String {
    match column.is_nullable {
        true => format!("{wrapper}<{held}>"),
        false => held.to_owned(),
    }
}

fn model(
    text: &mut String,
    table: &Table,
    module: &str,
    backend: Backend,
    fields: &[Field<'_>],
    is_serde: bool,
) {
    let is_key = |field: &Field<'_>| table.key.contains(&field.column.name);
    let is_written = |field: &Field<'_>| !table.is_view && !field.column.is_generated;
    let mut derives = vec![
        "Debug",
        "Clone",
        "PartialEq",
        "diesel::prelude::Queryable",
        "diesel::prelude::Selectable",
    ];
    let mut attributes = vec![
        format!("table_name = {module}"),
        format!("check_for_backend({})", backend.path()),
    ];
    if fields.iter().any(is_written) {
        derives.push("diesel::prelude::Insertable");
    }
    if fields
        .iter()
        .any(|field| is_written(field) && !is_key(field))
    {
        derives.push("diesel::prelude::AsChangeset");
        attributes.push(format!("primary_key({})", key(table, fields)));
        // A row is written as it is: `None` is NULL, not "as before".
        attributes.push("treat_none_as_null = true".to_owned());
    }
    if is_serde {
        derives.extend(["serde::Serialize", "serde::Deserialize"]);
    }
    let what = if table.is_view { "view" } else { "table" };
    let _ = writeln!(text, "/// A row of the {what} `{}`.", one_line(&table.name));
    let _ = writeln!(text, "#[derive({})]", derives.join(", "));
    let _ = writeln!(text, "#[diesel({})]", attributes.join(", "));
    let _ = writeln!(text, "pub struct {} {{", names::pascal(&table.name));
    for field in fields {
        let Field { name, column, held } = field;
        let declared = format!("`{}`", one_line(&column.declared));
        let remarks = [column.comment.as_str(), &declared, &held.note];
        let remarks: Vec<String> = remarks
            .into_iter()
            .map(one_line)
            .filter(|part| !part.is_empty())
            .collect();
        let _ = writeln!(text, "    /// {}", remarks.join("; "));
        if column.is_generated && !table.is_view {
            text.push_str("    #[diesel(skip_insertion, skip_update)]\n");
        }
        if *name != column.name && is_serde {
            let _ = writeln!(text, "    #[serde(rename = {:?})]", column.name);
        }
        let _ = writeln!(
            text,
            "    pub {name}: {},",
            optional("Option", &held.rust, column)
        );
    }
    text.push_str("}\n");
}

/// The types of a database's own that its tables use, or nothing.
pub(super) fn sql_types(tables: &[Table]) -> Option<String> {
    let own: BTreeMap<String, &Enumeration> = tables
        .iter()
        .flat_map(|table| &table.columns)
        .filter_map(|column| column.held.as_ref().ok()?.own.as_ref())
        .map(|own| (names::pascal(&own.name), own))
        .collect();
    if own.is_empty() {
        return None;
    }
    let mut text = "//! The enumerations of the database, each with a text that has its type.\n\n\
        use std::io::Write as _;\n\n\
        use diesel::deserialize::{self, FromSql};\n\
        use diesel::pg::{Pg, PgValue};\n\
        use diesel::serialize::{self, IsNull, Output, ToSql};\n"
        .to_owned();
    for (name, own) in own {
        let words: Vec<String> = own
            .words
            .iter()
            .map(|word| format!("`{}`", one_line(word)))
            .collect();
        let _ = write!(
            text,
            "
/// The type `{shown}`.
#[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(name = {sql:?}, schema = {schema:?}))]
pub struct {name}Type;

/// A value of it: {words}. No enum, so that a word which a later migration adds can still be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow, serde::Serialize, serde::Deserialize)]
#[diesel(sql_type = {name}Type)]
#[serde(transparent)]
pub struct {name}(pub String);

impl FromSql<{name}Type, Pg> for {name} {{
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {{
        Ok(Self(String::from_utf8(value.as_bytes().to_vec())?))
    }}
}}

impl ToSql<{name}Type, Pg> for {name} {{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {{
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }}
}}
",
            shown = one_line(&own.name),
            sql = own.name,
            schema = own.schema,
            words = words.join(", "),
        );
    }
    Some(text)
}

/// What others wrote, for a comment.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    words.join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, held: Result<Held, String>) -> Column {
        Column {
            name: name.to_owned(),
            declared: "x".to_owned(),
            comment: String::new(),
            is_nullable: false,
            is_generated: false,
            held,
        }
    }

    fn rendered(columns: Vec<Column>, key: &[&str], is_view: bool) -> String {
        let key = key.iter().map(|&name| name.to_owned()).collect();
        let name = "orders".to_owned();
        table(
            &Table {
                name,
                is_view,
                columns,
                key,
            },
            "orders",
            Backend::Sqlite,
        )
    }

    fn number(name: &str) -> Column {
        column(name, Ok(Held::of("BigInt", "i64")))
    }

    #[test]
    fn names_that_are_none_of_rust_keep_theirs_in_sql() {
        let text = rendered(
            vec![number("id"), number("type"), number("orders")],
            &["id"],
            false,
        );
        assert!(
            text.contains("#[sql_name = \"type\"]\n        type_ -> BigInt,"),
            "{text}"
        );
        assert!(
            text.contains("#[serde(rename = \"type\")]\n    pub type_: i64,"),
            "{text}"
        );
        assert!(text.contains("orders_2 -> BigInt,"), "{text}");
    }

    #[test]
    fn a_composite_key_is_in_its_own_order() {
        let text = rendered(
            vec![number("a"), number("b"), number("c")],
            &["b", "a"],
            false,
        );
        assert!(text.contains("orders (b, a) {"), "{text}");
        assert!(text.contains("primary_key(b, a)"), "{text}");
    }

    #[test]
    fn a_table_of_nothing_but_its_key_has_no_changes() {
        let text = rendered(vec![number("a")], &["a"], false);
        assert!(
            text.contains("Insertable") && !text.contains("AsChangeset"),
            "{text}"
        );
    }

    #[test]
    fn what_is_left_out_is_reported_with_the_reason() {
        let text = rendered(vec![number("a")], &[], false);
        assert!(
            text.contains("Left out: it has no primary key") && !text.contains("table! {"),
            "{text}"
        );
        let lost = || column("p", Err("no such type".to_owned()));
        let text = rendered(vec![number("a"), lost()], &["a"], false);
        assert!(
            text.contains("Left out: the column `p` (`x`): no such type."),
            "{text}"
        );
        let text = rendered(vec![number("a"), lost()], &["p"], false);
        assert!(
            text.contains("`p` of its primary key: no such type"),
            "{text}"
        );
        let many = (0..129).map(|n| number(&format!("c{n}"))).collect();
        assert!(rendered(many, &["c0"], false).contains("128 columns"));
    }

    #[test]
    fn a_view_is_only_read() {
        let text = rendered(vec![number("a")], &[], true);
        assert!(
            text.contains("orders (a) {") && !text.contains("Insertable"),
            "{text}"
        );
    }
}
