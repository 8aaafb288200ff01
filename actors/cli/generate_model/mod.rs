//! `generate-model`: schemas and models for diesel, made of the tables of databases.
//!
//! A file per database maps its column types to Rust types; no library has that, as diesel keeps it in its own command.

mod files;
mod mysql;
mod names;
mod postgres;
mod render;
mod sqlite;
mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::files::{Changed, Files, with_header};
use self::table::{Backend, Table};
use super::print::print;
use crate::address::{self, NoConnection};
use crate::bootstrap::failure::Failure;
use crate::bootstrap::mini_system;
use crate::config::{
    DatabaseUrl, ModelDatabase, ModelSettings, Places, load_models, similar_table,
};

/// The Go project's name of it.
const FILE: &str = "generateModel.json";

#[derive(Debug, Args)]
pub(crate) struct GenerateModelArgs {
    /// What to generate, and from which databases [default: etc/generateModel.json, else generateModel.json]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace files that somebody changed
    #[arg(long)]
    force: bool,
}

/// Writes the files of all databases, or none.
pub(crate) fn generate_model(
    places: &Places,
    args: &GenerateModelArgs,
) -> Result<ExitCode, Failure> {
    let file = args.file.clone().unwrap_or_else(|| default_file(places));
    let settings = load_models(&file).map_err(Failure::misused)?;
    let mut made = Files::new();
    let mut text = String::new();
    for database in &settings.databases {
        let tables = tables(database)?;
        let left_out = add(&mut made, &settings, database, &tables);
        let (pkg, count) = (&database.pkg, tables.len());
        let _ = writeln!(
            text,
            "{pkg}: {count} tables of {}",
            database.link.redacted()
        );
        for name in left_out {
            let _ = writeln!(
                text,
                "  `{name}` or a part of it is left out; its file has the reason"
            );
        }
    }
    made.insert(
        settings.output_dir.join("mod.rs"),
        with_header(&root(&settings)),
    );
    let changed = match args.force {
        true => Changed::Replaced,
        false => Changed::Refused,
    };
    let written = files::write(&made, changed)?;
    let folder = settings.output_dir.display();
    let _ = writeln!(
        text,
        "{written} of {} files in {folder} are new",
        made.len()
    );
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn default_file(places: &Places) -> PathBuf {
    let in_etc = places.etc.join(FILE);
    let here = Path::new(FILE);
    match !in_etc.exists() && here.exists() {
        true => here.to_owned(),
        false => in_etc,
    }
}

/// The tables that are wanted, in the order of their names.
fn tables(database: &ModelDatabase) -> Result<Vec<Table>, Failure> {
    let place = &database.place;
    let shown = database.link.redacted();
    let (name, mut all) =
        read(&database.link).map_err(|why| Failure::failed(format!("{place}: {shown}: {why}")))?;
    if name != database.db_name {
        return Err(Failure::misused(format!(
            "{place}: `link` leads to the database `{name}`, and `db_name` is `{}`; the same name would be right",
            database.db_name
        )));
    }
    let known: Vec<&str> = all.iter().map(|table| table.name.as_str()).collect();
    let missing: Vec<String> = database
        .tables
        .iter()
        .filter(|wanted| !known.contains(&wanted.as_str()))
        .map(|wanted| {
            let hint = similar_table(wanted, known.iter().copied());
            format!("{place}: {shown} has no table `{wanted}` that this user may see{hint}")
        })
        .collect();
    if !missing.is_empty() {
        return Err(Failure::misused(missing.join("\n")));
    }
    if all.is_empty() {
        return Err(Failure::failed(format!(
            "{place}: {shown} has no tables that this user may see; nothing was written"
        )));
    }
    if !database.tables.is_empty() {
        all.retain(|table| database.tables.contains(&table.name));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The database's name and its tables.
fn read(link: &DatabaseUrl) -> Result<(String, Vec<Table>), String> {
    let unconnected = |cause: NoConnection| cause.to_string();
    match link {
        DatabaseUrl::Sqlite(path) => sqlite::tables(path),
        DatabaseUrl::Mysql(url) => mini_system::in_system(async {
            let mut connection = address::mysql::connect(url.expose())
                .await
                .map_err(unconnected)?;
            mysql::tables(&mut connection).await
        }),
        DatabaseUrl::Postgres(url) => mini_system::in_system(async {
            let mut connection = address::postgres::connect(url.expose())
                .await
                .map_err(unconnected)?;
            postgres::tables(&mut connection).await
        }),
    }
}

/// Adds the files of a database; the names of tables of which something is left out.
fn add(
    made: &mut Files,
    settings: &ModelSettings,
    database: &ModelDatabase,
    tables: &[Table],
) -> Vec<String> {
    let backend = match database.link {
        DatabaseUrl::Sqlite(_) => Backend::Sqlite,
        DatabaseUrl::Mysql(_) => Backend::Mysql,
        DatabaseUrl::Postgres(_) => Backend::Postgres,
    };
    let folder = settings.output_dir.join(&database.pkg);
    let mut taken = BTreeSet::new();
    let mut left_out = Vec::new();
    for table in tables {
        let module = names::free(names::snake(&table.name), &mut taken);
        let text = render::table(table, &module, backend);
        if text.contains("//! Left out: ") {
            left_out.push(render::one_line(&table.name));
        }
        made.insert(folder.join(format!("{module}.rs")), with_header(&text));
    }
    if let Some(text) = render::sql_types(tables) {
        taken.insert("sql_types".to_owned());
        made.insert(folder.join("sql_types.rs"), with_header(&text));
    }
    let name = render::one_line(&database.db_name);
    let mut text = format!("//! The tables of the database `{name}`.\n\n");
    if let Some(constant) = &database.constant {
        let name = names::snake(constant).trim_end_matches('_').to_uppercase();
        let value = &database.db_name;
        let _ = write!(
            text,
            "/// The database's name, as in the settings' `databases` and `ctx.database`.\npub const {name}: &str = {value:?};\n\n"
        );
    }
    for module in taken {
        let _ = writeln!(text, "pub mod {module};");
    }
    made.insert(folder.join("mod.rs"), with_header(&text));
    left_out
}

fn root(settings: &ModelSettings) -> String {
    let of = match settings.module_name.as_str() {
        "" => String::new(),
        name => format!(" of `{}`", render::one_line(name)),
    };
    let mut packages: Vec<&str> = settings
        .databases
        .iter()
        .map(|database| database.pkg.as_str())
        .collect();
    packages.sort_unstable();
    let mut text = format!("//! Schemas and models{of}, for diesel.\n\n");
    for package in packages {
        let _ = writeln!(text, "pub mod {package};");
    }
    text
}
