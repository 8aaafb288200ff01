//! `dead replay`: runs dead letters again.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::confirm::Confirmed;
use super::filter::FilterArgs;
use super::order::Order;
use crate::bootstrap::failure::Failure;
use crate::config::Config;
use crate::delay_queue::params_refusal;
use crate::orders::dead::{Deed, Done, Edited, Meant, Rate, Targets};
use crate::store::rows::DeadLetterFilter;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The dead letters, as `dead list` shows them; none: all that pass the filters
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Of this group of the same error, as `dead group` names it
    #[arg(long, value_name = "GROUP", conflicts_with = "ids")]
    group: Option<String>,
    /// At most this many, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// No faster: `100/s`, `30/m`, `5/h`
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// What one dead letter has from now on in place of its payload: the bytes of this file, or of standard input (`-`)
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Do not ask; needed without a terminal where all dead letters there are are meant
    #[arg(long)]
    yes: bool,
}

/// Prints what runs again, and what cannot.
pub(super) fn replay(
    config: &Config,
    delayed: &BTreeSet<String>,
    args: ReplayArgs,
) -> Result<ExitCode, Failure> {
    let filter = args.filter.filter();
    let edited = match args.payload {
        Some(_) if args.ids.len() != 1 || filter != DeadLetterFilter::default() => {
            return Err(Failure::misused(
                "`--payload` is for one dead letter: `dead replay ID --payload FILE`",
            ));
        }
        Some(file) => Some(read(&file)?),
        None => None,
    };
    let meant = Meant {
        ids: args.ids,
        filter,
        limit: args.limit,
        ..Meant::default()
    };
    let order = Order {
        meant,
        group: args.group,
        rate: args.rate,
        confirmed: Confirmed::by(args.yes),
        deed: Deed::Replay {
            targets: Arc::new(Targets::new(config, delayed.clone())),
            edited,
        },
        words: ("run", " again"),
    };
    let ended = order.carry_out(config)?;
    let (summary, complaints) = (summary(&ended.done), complaints(&ended.done));
    ended.print(&summary, complaints)
}

/// The bytes as they are, to the last one; of standard input for `-`.
fn read(file: &Path) -> Result<Edited, Failure> {
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => fs::read(file).map(|read| bytes = read),
    };
    read.map_err(|cause| {
        let file = file.display();
        Failure::failed(format!("the payload cannot be read: `{file}`: {cause}"))
    })?;
    Ok(Edited::new(bytes.into(), params_refusal))
}

fn summary(done: &Done) -> String {
    let mut text = String::new();
    for (name, n) in &done.replayed {
        let _ = writeln!(
            text,
            "{name}: {}",
            dead_letters(*n, "runs again", "run again")
        );
    }
    if done.gone > 0 {
        let were = dead_letters(done.gone, "was", "were");
        let _ = writeln!(
            text,
            "{were} replayed or deleted by somebody else meanwhile"
        );
    }
    if text.is_empty() {
        text.push_str("no dead letter runs again\n");
    }
    text
}

fn complaints(done: &Done) -> String {
    let mut text = String::new();
    for stays in &done.reasons {
        let (id, name, reason) = (stays.id, &stays.name, &stays.reason);
        let _ = writeln!(text, "dead letter {id} (`{name}`) stays: {reason}");
    }
    let more = done.refused - u64::try_from(done.reasons.len()).unwrap_or(0);
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

fn dead_letters(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 dead letter {one}"),
        n => format!("{n} dead letters {many}"),
    }
}
