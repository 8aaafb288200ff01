//! `reload`: the running daemon of the partition reads its configuration again, and what came of it is printed.

use std::path::PathBuf;
use std::process::ExitCode;

use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{FAILED, Failure, MISUSED, chain};
use crate::bootstrap::open::misconfigured;
use crate::bootstrap::plan::data_dir;
use crate::config::{self, Places};
use crate::http::{ClientError, order, sockets};
use crate::reload::{Outcome, ReloadReport};

/// Exit status 0 where the files hold now, 2 where they are faulty, 1 where no daemon did anything.
pub(crate) fn reload<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<ExitCode, Failure> {
    // The settings hold the daemon's address. Where they are faulty the daemon is searched for at the default address,
    // and it judges all three files.
    let settings = config::load_settings(places, &app.registry.commands());
    let data_dir = match &settings {
        Ok(config) => data_dir(config),
        Err(_) => PathBuf::from("data"),
    };
    let name = format!("{}.sock", places.partition);
    let found = sockets(&data_dir);
    let socket = found
        .into_iter()
        .find(|path| path.file_name().is_some_and(|file| *file == *name));
    let answer = match &socket {
        Some(socket) => order(socket, "/api/v1/reload"),
        None => Err(ClientError::NoDaemon),
    };
    match answer {
        Ok(body) => shown(&body),
        Err(ClientError::NoDaemon) => Err(match settings {
            Ok(_) => no_daemon(places, &data_dir),
            Err(report) => misconfigured(places, &report),
        }),
        Err(cause) => Err(Failure::failed(chain(&cause))),
    }
}

fn shown(body: &[u8]) -> Result<ExitCode, Failure> {
    let Ok(report) = serde_json::from_slice::<ReloadReport>(body) else {
        // A refusal of the order itself: the port is read-only, the daemon is older than this program.
        let text = serde_json::from_slice::<serde_json::Value>(body);
        let text = text
            .ok()
            .and_then(|text| text["error"].as_str().map(str::to_owned));
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        return Err(Failure::failed(format!("the daemon reads nothing: {text}")));
    };
    print(&report.text())?;
    Ok(match report.outcome {
        Outcome::Applied | Outcome::Unchanged => ExitCode::SUCCESS,
        Outcome::Refused => ExitCode::from(MISUSED),
        Outcome::Stopping => ExitCode::from(FAILED),
    })
}

fn no_daemon(places: &Places, data_dir: &std::path::Path) -> Failure {
    Failure::failed(format!(
        "no daemon of partition {} runs here: none answers at `{}/{}.sock`. Where `database.url` has changed since it \
         started, it answers where that was; `kill -HUP` reaches it all the same",
        places.partition,
        data_dir.display(),
        places.partition
    ))
}
