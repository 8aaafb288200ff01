//! A database's description of its tables, and what diesel holds them as.

/// A table or view.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) is_view: bool,
    pub(super) columns: Vec<Column>,
    /// The columns of the primary key, in its order.
    pub(super) key: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// As the database writes it.
    pub(super) declared: String,
    pub(super) comment: String,
    pub(super) is_nullable: bool,
    /// The database makes its value, and takes none.
    pub(super) is_generated: bool,
    /// `Err`: why diesel cannot hold it.
    pub(super) held: Result<Held, String>,
}

/// A column as an information schema lists it: with its table.
pub(super) struct Listed {
    pub(super) table: String,
    pub(super) is_view: bool,
    pub(super) column: Column,
    /// Its place in the primary key, from 1; 0: it is no part of it.
    pub(super) key_part: i64,
}

/// The tables of these columns. The columns of a table stand together, in its order.
pub(super) fn of_columns(listed: impl IntoIterator<Item = Listed>) -> Vec<Table> {
    let mut listed = listed.into_iter().peekable();
    let mut tables = Vec::new();
    while let Some(first) = listed.peek() {
        let (name, is_view) = (first.table.clone(), first.is_view);
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        while let Some(next) = listed.next_if(|next| next.table == name) {
            if next.key_part > 0 {
                key.push((next.key_part, next.column.name.clone()));
            }
            columns.push(next.column);
        }
        key.sort();
        tables.push(Table {
            name,
            is_view,
            columns,
            key: key.into_iter().map(|(_, name)| name).collect(),
        });
    }
    tables
}

/// The type of a value.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// One of `diesel::sql_types`, or of the module `sql_types` beside the tables.
    pub(super) sql: String,
    pub(super) rust: String,
    /// The feature of diesel that the type needs.
    pub(super) feature: Option<&'static str>,
    /// Whether serde knows the Rust type.
    pub(super) is_serde: bool,
    pub(super) own: Option<Enumeration>,
    /// What a user should know of the choice.
    pub(super) note: String,
}

/// A type of PostgreSQL whose values are words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enumeration {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) words: Vec<String>,
}

impl Held {
    pub(super) fn of(sql: &str, rust: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            rust: rust.to_owned(),
            feature: None,
            is_serde: true,
            own: None,
            note: String::new(),
        }
    }

    pub(super) fn needs(self, feature: &'static str) -> Self {
        Self {
            feature: Some(feature),
            ..self
        }
    }

    pub(super) fn without_serde(self) -> Self {
        Self {
            is_serde: false,
            ..self
        }
    }

    pub(super) fn noted(self, note: &str) -> Self {
        Self {
            note: note.to_owned(),
            ..self
        }
    }

    /// The same as an array or a multirange of it.
    pub(super) fn within(self, sql: &str, rust: &str) -> Self {
        Self {
            sql: sql.replace("{}", &self.sql),
            rust: rust.replace("{}", &self.rust),
            ..self
        }
    }
}

/// The three kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Mysql,
    Postgres,
}

impl Backend {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Sqlite => "diesel::sqlite::Sqlite",
            Self::Mysql => "diesel::mysql::Mysql",
            Self::Postgres => "diesel::pg::Pg",
        }
    }

    pub(super) fn feature(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Mysql => "mysql_backend",
            Self::Postgres => "postgres_backend",
        }
    }
}
