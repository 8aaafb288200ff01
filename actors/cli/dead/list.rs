//! `dead list`: shows letters.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::confirm::with_group;
use super::filter::FilterArgs;
use super::unconsumed::{self, Found};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{one_line, print};
use crate::config::{Config, Places};
use crate::moment::shown_in_line;
use crate::orders::dead::Meant;
use crate::store::browse::{self, LetterLine, LettersAsked, Reach};
use crate::store::rows::{DeadLetter, LetterFilter};
use crate::store::{DbError, Reader, Store};

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
        let letters = find(reader.as_ref(), &meant, limit, json).await;
        let letters = letters.map_err(|cause| Failure::failed(chain(&cause)))?;
        let unconsumed = match all {
            true => unconsumed::look(config, places, reader.as_ref()).await?,
            false => Vec::new(),
        };
        Ok((letters, unconsumed))
    })?;
    let mut text = String::new();
    for letter in &letters {
        text += &match letter {
            Letter::Whole(letter) => serde_json::to_string(letter).map_err(Failure::failed)?,
            Letter::Line(letter) => line(letter),
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

/// A letter as it is printed.
enum Letter {
    Line(LetterLine),
    /// With all of its payload.
    Whole(DeadLetter),
}

/// Letters in one step of the look for those that are meant.
const STEP: u32 = 20_000;
/// Whole letters that are read at once.
const WHOLE: usize = 100;

/// The newest first. However few are meant, no statement reads more than a step of the table; the look goes on until there
/// are as many as were asked for, or no more.
async fn find(
    reader: &dyn Reader,
    meant: &Meant,
    limit: u32,
    whole: bool,
) -> Result<Vec<Letter>, DbError> {
    let asked = LettersAsked {
        filter: meant.filter.clone(),
        ..LettersAsked::default()
    };
    let reach = Reach {
        page: limit,
        step: STEP,
        time: Duration::MAX,
    };
    let page = browse::letters(reader, asked, |line| meant.takes(&line.head), reach).await?;
    if !whole {
        return Ok(page.rows.into_iter().map(Letter::Line).collect());
    }
    let ids: Vec<i64> = page.rows.iter().map(|line| line.head.id).collect();
    let mut letters = Vec::with_capacity(ids.len());
    for ids in ids.chunks(WHOLE) {
        let filter = LetterFilter {
            ids: ids.to_vec(),
            ..LetterFilter::default()
        };
        let most = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        letters.extend(reader.dead_letters(filter, most).await?);
    }
    Ok(letters.into_iter().map(Letter::Whole).collect())
}

fn line(letter: &LetterLine) -> String {
    let head = &letter.head;
    let payload = String::from_utf8_lossy(&letter.payload);
    let shown: String = payload.chars().take(SHOWN_CHARS).collect();
    let line = format!(
        "{}  {}  {} {} `{}` (`{}`), attempt {}: {}: {:?}",
        head.id,
        shown_in_line(head.died_ms),
        head.kind,
        letter.original_id,
        head.name,
        head.exec_cmd,
        letter.attempts,
        head.error,
        shown
    );
    one_line(&line)
}
