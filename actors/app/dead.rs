//! `dead`: what will not be tried again.

use std::process::ExitCode;

use chrono::{DateTime, Local};
use clap::Subcommand;

use super::failure::{Failure, chain};
use super::print::print;
use super::{App, start, writer};
use crate::config::Places;
use crate::db::rows::{DeadLetter, LetterFilter};

/// Characters of a payload that a line shows.
const SHOWN_CHARS: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Show dead letters, the newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Prints the letters.
pub(super) fn dead<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: DeadCommand,
) -> Result<ExitCode, Failure> {
    let DeadCommand::List { limit, json } = command;
    let config = start::configuration(app, places)?;
    let store = writer::migrated_store(&config)?;
    let letters = writer::in_system(async move {
        store
            .reader()
            .dead_letters(LetterFilter::default(), limit)
            .await
    })
    .map_err(|cause| Failure::failed(chain(&cause)))?;
    let mut text = String::new();
    for letter in &letters {
        text += &match json {
            true => serde_json::to_string(letter).map_err(Failure::failed)?,
            false => line(letter),
        };
        text.push('\n');
    }
    if letters.is_empty() && !json {
        text = "no dead letters\n".to_owned();
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(letter: &DeadLetter) -> String {
    let died = DateTime::from_timestamp_millis(letter.died_ms).unwrap_or_default();
    let payload = String::from_utf8_lossy(&letter.payload);
    let shown: String = payload.chars().take(SHOWN_CHARS).collect();
    let line = format!(
        "{}  {}  {} {} `{}` (`{}`), attempt {}: {}: {:?}",
        letter.id,
        died.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S"),
        letter.kind,
        letter.original_id,
        letter.name,
        letter.exec_cmd,
        letter.attempts,
        letter.error,
        shown
    );
    one_line(&line)
}

/// An error may hold line breaks, and what moves the cursor.
fn one_line(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2J测"), "a\\nb\\u{1b}[2J测");
    }
}
