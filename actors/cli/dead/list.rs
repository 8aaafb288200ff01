//! `dead list`: shows dead letters.

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
use crate::store::browse::{self, DeadLetterLine, DeadLettersAsked, Reach};
use crate::store::rows::{DeadLetter, DeadLetterFilter};
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
    /// At most this many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Prints the dead letters.
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
    let all = filter == DeadLetterFilter::default() && group.is_none();
    let (dead_letters, unconsumed) = mini_system::in_system(async move {
        let meant = Meant {
            filter,
            ..Meant::default()
        };
        let meant = with_group(meant, reader.as_ref(), group).await?;
        let dead_letters = find(reader.as_ref(), &meant, limit, json).await;
        let dead_letters = dead_letters.map_err(|cause| Failure::failed(chain(&cause)))?;
        let unconsumed = match all {
            true => unconsumed::find(config, places, reader.as_ref()).await?,
            false => Vec::new(),
        };
        Ok((dead_letters, unconsumed))
    })?;
    let mut text = String::new();
    for dead_letter in &dead_letters {
        text += &match dead_letter {
            Listed::Whole(dead_letter) => {
                serde_json::to_string(dead_letter).map_err(Failure::failed)?
            }
            Listed::Line(dead_letter) => line(dead_letter),
        };
        text.push('\n');
    }
    if dead_letters.is_empty() && !json {
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

/// A dead letter as it is printed.
enum Listed {
    Line(DeadLetterLine),
    /// With all of its payload.
    Whole(DeadLetter),
}

/// Dead letters in one step of the search for those that are meant.
const STEP: u32 = 20_000;
/// Whole dead letters that are read at once.
const WHOLE: usize = 100;

/// The newest first. However few are meant, no statement reads more than a step of the table; the search goes on until
/// there are as many as were asked for, or no more.
async fn find(
    reader: &dyn Reader,
    meant: &Meant,
    limit: u32,
    whole: bool,
) -> Result<Vec<Listed>, DbError> {
    let asked = DeadLettersAsked {
        filter: meant.filter.clone(),
        ..DeadLettersAsked::default()
    };
    let reach = Reach {
        page: limit,
        step: STEP,
        time: Duration::MAX,
    };
    let page = browse::dead_letters(reader, asked, |line| meant.takes(&line.head), reach).await?;
    if !whole {
        return Ok(page.rows.into_iter().map(Listed::Line).collect());
    }
    let ids: Vec<i64> = page.rows.iter().map(|line| line.head.id).collect();
    let mut dead_letters = Vec::with_capacity(ids.len());
    for ids in ids.chunks(WHOLE) {
        let filter = DeadLetterFilter {
            ids: ids.to_vec(),
            ..DeadLetterFilter::default()
        };
        let most = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        dead_letters.extend(reader.dead_letters(filter, most).await?);
    }
    Ok(dead_letters.into_iter().map(Listed::Whole).collect())
}

fn line(dead_letter: &DeadLetterLine) -> String {
    let head = &dead_letter.head;
    let payload = String::from_utf8_lossy(&dead_letter.payload);
    let shown: String = payload.chars().take(SHOWN_CHARS).collect();
    let line = format!(
        "{}  {}  {} {} `{}` (`{}`), attempt {}: {}: {:?}",
        head.id,
        shown_in_line(head.died_ms),
        head.kind,
        dead_letter.original_id,
        head.name,
        head.exec_cmd,
        dead_letter.attempts,
        head.error,
        shown
    );
    one_line(&line)
}
