//! `cron logs`: what a run printed, and with `-f` what it prints until it ends.

use std::process::ExitCode;

use clap::Args;

use super::follow::{POLL_INTERVAL, POLLS_A_QUESTION, follow};
use crate::bootstrap::failure::Failure;
use crate::bootstrap::{mini_system, open};
use crate::cli::print::{print, print_error};
use crate::config::Config;
use crate::logs::{OutputLog, StderrFormat, read_output};
use crate::operations::cron_log::{self, Printed, cannot_read, file_of, nothing_there};
use crate::store::Reader;
use crate::store::daemon_orders::CronRun;

#[derive(Debug, Args)]
pub(in crate::cli) struct LogsArgs {
    /// The `name` of an entry, for its newest run; or a run, as `cron runs` shows it
    #[arg(value_name = "NAME|RUN")]
    of: String,
    /// Goes on until the run ends
    #[arg(short, long)]
    follow: bool,
    /// How many of the file's last lines to begin with: runs of one day share it
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: usize,
}

pub(super) fn logs(config: &Config, args: &LogsArgs) -> Result<ExitCode, Failure> {
    let reader = mini_system::migrated_store(config)?.reader();
    mini_system::in_system(async {
        let found = cron_log::find(config, reader.as_ref(), &args.of).await;
        let found = found.map_err(Failure::refused)?;
        let run = match (found, args.follow) {
            (Printed::Run(run), _) => run,
            (Printed::Waiting, true) => begun(config, reader.as_ref(), &args.of).await?,
            (Printed::Waiting, false) => {
                return Err(Failure::failed(format!("run {} has not begun", args.of)));
            }
        };
        let options = open::log_options(config, StderrFormat::Plain);
        let log = cron_log::output_of(config, &options, &run);
        match args.follow {
            true => follow(reader.as_ref(), &log, run, args.lines).await?,
            false => show(&log, &run, args.lines)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Waits for a daemon to begin it.
async fn begun(config: &Config, reader: &dyn Reader, uk: &str) -> Result<CronRun, Failure> {
    print_error(&format!("run {uk} waits for a daemon\n"));
    loop {
        tokio::time::sleep(POLL_INTERVAL * POLLS_A_QUESTION).await;
        let found = cron_log::find(config, reader, uk).await;
        match found.map_err(Failure::refused)? {
            Printed::Run(run) => return Ok(run),
            Printed::Waiting => {}
        }
    }
}

/// Prints the last lines.
pub(super) fn show(log: &OutputLog, run: &CronRun, lines: usize) -> Result<(), Failure> {
    let Some(path) = file_of(log, run).map_err(Failure::refused)? else {
        return Err(Failure::failed(nothing_there(log, run)));
    };
    let bytes = read_output(&path).map_err(|cause| Failure::refused(cannot_read(&path, &cause)))?;
    print_error(&format!("{}:\n", path.display()));
    print(&String::from_utf8_lossy(last_lines(&bytes, lines)))
}

pub(super) fn last_lines(bytes: &[u8], lines: usize) -> &[u8] {
    let ends = bytes.iter().enumerate().rev();
    // The last byte ends the last line.
    let mut ends = ends.skip(1).filter(|(_, byte)| **byte == b'\n');
    match lines {
        0 => &[],
        lines => ends
            .nth(lines - 1)
            .map_or(bytes, |(at, _)| &bytes[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_whole() {
        for (text, lines, shown) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 1, "c"),
            ("a\nb\n", 9, "a\nb\n"),
            ("", 3, ""),
            ("a\n", 0, ""),
            ("\n\n", 1, "\n"),
        ] {
            assert_eq!(
                last_lines(text.as_bytes(), lines),
                shown.as_bytes(),
                "{text:?}"
            );
        }
    }
}
