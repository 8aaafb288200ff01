//! `schema`: the JSON Schema of one of the three files, for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::print::print;
use crate::bootstrap::failure::Failure;
use crate::config::{Commands, SchemaFile, SchemaLanguages};

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of `etc/queue_*.json`, `etc/crontab_*.json` or `etc/{env}.json`
    #[arg(value_enum, value_name = "FILE")]
    file: Which,
    /// The language in which keys are described
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    lang: Language,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Queue,
    Crontab,
    Settings,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Language {
    /// English, and Chinese beneath
    #[default]
    Both,
    /// English
    En,
    /// Chinese
    Zh,
}

/// Prints the schema; what it proposes as `exec_cmd` are this program's handlers.
pub(crate) fn schema(commands: &Commands, args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let file = match args.file {
        Which::Queue => SchemaFile::Queue,
        Which::Crontab => SchemaFile::Crontab,
        Which::Settings => SchemaFile::Settings,
    };
    let languages = match args.lang {
        Language::Both => SchemaLanguages::Both,
        Language::En => SchemaLanguages::English,
        Language::Zh => SchemaLanguages::Chinese,
    };
    print(&file.schema(commands, languages))?;
    Ok(ExitCode::SUCCESS)
}
