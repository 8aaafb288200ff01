//! `push`: a task onto the delay queue, from a shell.

use std::process::ExitCode;

use clap::Args;

use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::{mini_system, open};
use crate::clock::now_ms;
use crate::config::Places;
use crate::delay_queue::{PushError, PushItem, Pushable, Pusher, refusal};

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The registered delayed task
    exec_cmd: String,
    /// Handed to the handler as it is
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    params: String,
    /// Shown to people
    #[arg(long, default_value = "")]
    name: String,
    /// Names this push: a repetition with the same key prints the same id and makes no second task
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    idempotency_key: Option<String>,
    #[command(flatten)]
    when: When,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct When {
    /// Seconds from now
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    delay_time: Option<i64>,
    /// Unix seconds
    #[arg(long, value_name = "UNIX_SECONDS", allow_negative_numbers = true)]
    exec_time: Option<i64>,
}

/// Prints the id once the task is durable.
pub(crate) fn push<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: PushArgs,
) -> Result<ExitCode, Failure> {
    if args.when.exec_time == Some(0) {
        return Err(Failure::misused(
            "`--exec-time 0` would mean none; use `--delay-time 0` for at once",
        ));
    }
    let config = open::configuration(app, places)?;
    let pushable = Pushable::Registered(app.registry.commands().delayed);
    let item = PushItem {
        name: args.name,
        exec_cmd: args.exec_cmd,
        params: args.params,
        delay_time: args.when.delay_time.unwrap_or(0),
        exec_time: args.when.exec_time.unwrap_or(0),
        idempotency_key: args.idempotency_key,
        ..PushItem::default()
    };
    // Bad usage leaves nothing behind, not even a new database.
    if let Some(reason) = refusal(&item, &pushable, now_ms()) {
        return Err(Failure::misused(reason));
    }
    let store = mini_system::migrated_store(&config)?;
    let pushed = mini_system::in_system(async move {
        let db = mini_system::start_db(&store);
        Pusher::new(pushable, db).push(vec![item]).await
    });
    match pushed {
        Ok(ids) => {
            let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
            print(&lines)?;
            Ok(ExitCode::SUCCESS)
        }
        // Nothing is made; the same command again would be refused again.
        Err(PushError::Key { reason, .. }) => Err(Failure::misused(reason)),
        Err(refused) => Err(Failure::failed(chain(&refused))),
    }
}
