//! `status`: what the running daemons of this directory are doing, and what is wrong first.

mod text;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::print::{print, print_error};
use crate::app::App;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::plan::data_dir;
use crate::clock::now_ms;
use crate::config::{self, Places};
use crate::http::{ClientError, get, sockets};

/// Between two polls of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// To the upper left of an empty screen.
const CLEAR: &str = "\x1b[2J\x1b[H";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One JSON array with the whole state of each daemon
    #[arg(long)]
    json: bool,
    /// Again each 2 seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Asks each daemon over its socket.
pub(crate) fn status<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: &StatusArgs,
) -> Result<ExitCode, Failure> {
    let data_dir = data_dir_of(app, places);
    let clear = args.watch && std::io::stdout().is_terminal();
    loop {
        let (states, silent) = ask_all(&data_dir);
        let shown = match args.json {
            true => serde_json::to_string(&states).map_err(Failure::failed)? + "\n",
            false => states
                .iter()
                .map(|state| text::of(state, now_ms()))
                .collect(),
        };
        print(&if clear {
            format!("{CLEAR}{shown}")
        } else {
            shown
        })?;
        for line in &silent {
            print_error(&format!("{line}\n"));
        }
        if !args.watch {
            return match states.is_empty() {
                false => Ok(ExitCode::SUCCESS),
                true => Err(Failure::failed(format!(
                    "no daemon runs here: none answers below `{}`",
                    data_dir.display()
                ))),
            };
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// The settings say where it is. Whoever asks what is wrong may have broken them a moment ago; then it is where it is by
/// default.
fn data_dir_of<S: Send + Sync + 'static>(app: &App<S>, places: &Places) -> PathBuf {
    match config::load_settings(places, &app.registry.commands()) {
        Ok(config) => data_dir(&config),
        Err(_) => {
            print_error("the settings cannot be read, `check` shows why; searching below `data`\n");
            PathBuf::from("data")
        }
    }
}

/// The states, and a line for each socket where nobody answers.
fn ask_all(data_dir: &Path) -> (Vec<Value>, Vec<String>) {
    let (mut states, mut silent) = (Vec::new(), Vec::new());
    for socket in sockets(data_dir) {
        let answer = get(&socket, "/api/v1/state").and_then(|body| {
            serde_json::from_slice(&body).map_err(|cause| ClientError::Status(cause.to_string()))
        });
        match answer {
            Ok(state) => states.push(state),
            Err(cause) => silent.push(format!("{}: {}", socket.display(), chain(&cause))),
        }
    }
    (states, silent)
}
