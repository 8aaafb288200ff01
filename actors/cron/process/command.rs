//! What is to be started, and what can go wrong with it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Access;
use thiserror::Error;

use super::posix::{self, HANDED_FD};
use super::quote::{Word, quote};
use super::run_file::HANDED_VARIABLE;
use crate::logs::{OutputFile, OutputLog};
use crate::state::PrintedPart;

/// A process to be started, detached from the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// The program; looked up in `PATH` when it has no slash.
    pub(crate) program: PathBuf,
    /// Its arguments, without its name.
    pub(crate) args: Vec<OsString>,
    /// Additions to the daemon's own environment, which is handed through. The log shows them.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What its standard output and error are appended to; made with its directories.
    pub(crate) output: Output,
    /// The run's file, locked, which the process goes on holding.
    pub(crate) handed: Option<Arc<File>>,
}

/// Where a process prints to.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Log(OutputLog),
    #[cfg(test)]
    File(PathBuf),
}

/// Why a process could not be started.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// No directory of `PATH` holds the program.
    #[error(
        "cannot start `{program}`: no directory of `PATH` holds it; set `cron_command` to its path"
    )]
    NotInPath { program: String },
    /// A word or a variable cannot be handed to a process.
    #[error("cannot start `{program}`: {what} holds a NUL character; remove it")]
    Nul { program: String, what: &'static str },
    /// Its standard input, which is `/dev/null`, cannot be opened.
    #[error("cannot open `/dev/null` for `{program}`: {error}; {}", remedy(error))]
    Null { program: String, error: io::Error },
    /// The system did not start it.
    #[error("cannot start `{program}`: {error}; {}", remedy(error))]
    Start { program: String, error: io::Error },
    /// Too many others wait to be started.
    #[error(
        "cannot start `{program}`: {waiting} others wait to be started; spread the entries over more seconds"
    )]
    Busy { program: String, waiting: usize },
    /// The thread that starts processes stopped, or panicked over this one.
    #[error(
        "cannot start `{program}`: the thread `cron-spawn` did not answer; see its panic in the log"
    )]
    NoAnswer { program: String },
}

/// A process that was started and is not yet reaped.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: i32,
    pub(super) output: PathBuf,
    pub(super) output_from: u64,
    pub(super) printed: Option<PrintedPart>,
    pub(super) output_error: Option<io::Error>,
    pub(super) output_stuck: Option<io::Error>,
}

impl Command {
    /// The command as a POSIX shell would read it, for the log: whatever the shell's directory and environment, it is
    /// this run again. In brackets, so that the shell stays where it is.
    ///
    /// With the additions to the environment, which say whose configuration is meant and are no secrets, and with a mark
    /// where a word is not UTF-8.
    pub(crate) fn shell_quoted(&self) -> String {
        let directory = env::current_dir().unwrap_or_default();
        self.shell_quoted_in(&directory)
    }

    fn shell_quoted_in(&self, directory: &Path) -> String {
        let quoted = |text: &OsStr, word| quote(&text.to_string_lossy(), word);
        let mut text = format!("(cd {} && ", quoted(directory.as_os_str(), Word::Argument));
        for (name, value) in &self.env {
            let value = quoted(value, Word::Argument);
            text.push_str(&format!("{}={value} ", name.to_string_lossy()));
        }
        text.push_str(&quoted(self.program.as_os_str(), Word::Program));
        for arg in &self.args {
            text.push(' ');
            text.push_str(&quoted(arg, Word::Argument));
        }
        text.push(')');
        text
    }

    /// Starts the process; blocks for the few milliseconds that takes.
    pub(super) fn start(&self) -> Result<Started, SpawnError> {
        let program = self.resolve()?;
        let args = self.args.iter().map(OsString::as_os_str);
        let words = [self.program.as_os_str()].into_iter().chain(args);
        let args: Option<Vec<_>> = words.map(c_string).collect();
        let path = c_string(program.as_os_str()).ok_or_else(|| self.nul("its path"))?;
        let args = args.ok_or_else(|| self.nul("an argument"))?;
        let env = self.environment().ok_or_else(|| self.nul("a variable"))?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| SpawnError::Null {
            program: self.name(),
            error,
        })?;
        // A run matters more than what it prints: without a log file it prints to nowhere.
        let (output, output_path, output_error, output_stuck) = match self.output.open() {
            Ok(OutputFile { file, path, stuck }) => (Some(file), path, None, stuck),
            Err(error) => (None, self.output.path(), Some(error), None),
        };
        let written = output.as_ref().and_then(|file| file.metadata().ok());
        let output_from = written.as_ref().map_or(0, fs::Metadata::len);
        let printed = written.map(|written| PrintedPart::begun(&output_path, &written));
        let plan = posix::Plan {
            program: &path,
            args: &args,
            env: &env,
            input: &null,
            output: output.as_ref().unwrap_or(&null),
            handed: self.handed.as_deref(),
        };
        match posix::spawn(&plan) {
            Ok(pid) => Ok(Started {
                pid,
                output: output_path,
                output_from,
                printed,
                output_error,
                output_stuck,
            }),
            Err(error) => Err(SpawnError::Start {
                program: self.name(),
                error,
            }),
        }
    }

    /// The program, for messages.
    pub(super) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn nul(&self, what: &'static str) -> SpawnError {
        SpawnError::Nul {
            program: self.name(),
            what,
        }
    }

    /// Not `posix_spawnp`: that cannot say "not found", and hands unknown files to `/bin/sh`.
    fn resolve(&self) -> Result<PathBuf, SpawnError> {
        if self.program.as_os_str().as_encoded_bytes().contains(&b'/') {
            return Ok(self.program.clone());
        }
        let path = env::var_os("PATH").unwrap_or_default();
        // An empty element is the working directory; `./` keeps a slash in the result.
        let here = Path::new(".");
        let dirs = env::split_paths(&path).map(|dir| match dir.as_os_str().is_empty() {
            true => here.join(&self.program),
            false => dir.join(&self.program),
        });
        let runs =
            |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
        let found = dirs.into_iter().find(runs);
        found.ok_or_else(|| SpawnError::NotInPath {
            program: self.name(),
        })
    }

    fn environment(&self) -> Option<Vec<CString>> {
        let mut all: BTreeMap<OsString, OsString> = env::vars_os().collect();
        all.extend(self.env.iter().cloned());
        if self.handed.is_some() {
            all.insert(HANDED_VARIABLE.into(), HANDED_FD.to_string().into());
        }
        let join = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            c_string(&name)
        };
        all.into_iter().map(join).collect()
    }
}

impl Output {
    fn open(&self) -> io::Result<OutputFile> {
        let opened = match self {
            Self::Log(log) => log.open(),
            #[cfg(test)]
            Self::File(path) => {
                let mut options = OpenOptions::new();
                let opened = options.append(true).create(true).open(path);
                opened.map(|file| OutputFile {
                    file,
                    path: path.clone(),
                    stuck: None,
                })
            }
        };
        opened.map_err(|error| {
            let path = self.path();
            let message = format!(
                "cannot append to `{}`: {error}; the output is lost",
                path.display()
            );
            io::Error::new(error.kind(), message)
        })
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Log(log) => log.path(),
            #[cfg(test)]
            Self::File(path) => path.clone(),
        }
    }
}

impl SpawnError {
    /// Whether the program's file is just being written, as in the middle of an upgrade.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Start { error, .. } if error.raw_os_error() == Some(libc::ETXTBSY))
    }
}

fn c_string(text: &OsStr) -> Option<CString> {
    CString::new(text.to_owned().into_vec()).ok()
}

/// What a person can do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => {
            "it, or the interpreter it names, is not there: put it back, or correct `cron_command`"
        }
        Some(libc::EACCES | libc::EPERM) => {
            "this user may not run it: check its mode and its mount"
        }
        Some(libc::EAGAIN) => {
            "the process table is full: raise RLIMIT_NPROC (`ulimit -u`), systemd's `TasksMax`, \
             or the container's limit of pids"
        }
        Some(libc::ENOMEM) => "the machine is out of memory: free some, or run fewer jobs at once",
        Some(libc::E2BIG) => "arguments and environment are too long together: shorten `params`",
        Some(libc::ENOEXEC) => "it is no program of this machine: check how it was built",
        Some(libc::ETXTBSY) => {
            "it is being written: replace it by renaming a finished file over it"
        }
        Some(libc::EMFILE | libc::ENFILE) => {
            "too many files are open: raise RLIMIT_NOFILE (`ulimit -n`) or systemd's `LimitNOFILE`"
        }
        _ => "try the command from the log by hand",
    }
}

#[cfg(test)]
mod tests;
