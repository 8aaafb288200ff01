//! `dead list`: shows letters.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::confirm::with_group;
use super::filter::FilterArgs;
use super::unconsumed::{self, Found};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{one_line, print};
use crate::config::{Config, Places};
use crate::moment::shown_in_line;
use crate::orders::dead::{Group, Meant};
use crate::store::Store;
use crate::store::rows::{DeadLetter, LetterFilter};

/// Characters of a payload that a line shows.
const SHOWN_CHARS: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Of this group of the same error, as `dead group` names it
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Prints the letters.
pub(super) fn list(
    store: &Arc<dyn Store>,
    config: &Config,
    places: &Places,
    args: ListArgs,
) -> Result<ExitCode, Failure> {
    let ListArgs {
        filter,
        group,
        limit,
        json,
    } = args;
    let reader = store.reader();
    let filter = filter.filter();
    // What nobody consumes has neither handler nor time.
    let all = filter == LetterFilter::default() && group.is_none();
    let (letters, unconsumed) = mini_system::in_system(async move {
        let meant = Meant {
            filter,
            ..Meant::default()
        };
        let meant = with_group(meant, reader.as_ref(), group).await?;
        let letters = reader.dead_letters(meant.filter.clone(), limit).await;
        let mut letters = letters.map_err(|cause| Failure::failed(chain(&cause)))?;
        let of_it = |letter: &DeadLetter| match &meant.group {
            Some(group) => *group == Group::of_letter(letter),
            None => true,
        };
        letters.retain(of_it);
        let unconsumed = match all {
            true => unconsumed::look(config, places, reader.as_ref()).await?,
            false => Vec::new(),
        };
        Ok((letters, unconsumed))
    })?;
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
    for Found { server, found } in &unconsumed {
        text += &match json {
            true => serde_json::json!({
                "kind": "unconsumed", "server": server, "source": found.source, "waiting": found.waiting,
                "error": found.why,
            })
            .to_string(),
            false => one_line(&format!(
                "not consumed  {server}, `{}`, {} messages: {}",
                found.source, found.waiting, found.why
            )),
        };
        text.push('\n');
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(letter: &DeadLetter) -> String {
    let payload = String::from_utf8_lossy(&letter.payload);
    let shown: String = payload.chars().take(SHOWN_CHARS).collect();
    let line = format!(
        "{}  {}  {} {} `{}` (`{}`), attempt {}: {}: {:?}",
        letter.id,
        shown_in_line(letter.died_ms),
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
