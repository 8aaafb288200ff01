//! What is installed on this machine.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Mutex;

/// Programs of servers stand outside of a user's path; PostgreSQL's in a folder for each version.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];
const POSTGRES_FOLDERS: &str = "/usr/lib/postgresql";

/// Where this program is, if it is.
pub fn program(name: &str) -> Option<PathBuf> {
    folders()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(MORE_FOLDERS.map(PathBuf::from));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(POSTGRES_FOLDERS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, path)| path));
    folders
}

/// A server that is not there: its tests are left out, printed once and past the capture of the output; but CI leaves
/// nothing out.
///
/// # Panics
///
/// Where `CI` is set.
pub fn left_out(server: &'static str) {
    static SAID: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    assert!(
        env::var_os("CI").is_none(),
        "{server} is not installed, and with `CI` set nothing is left out: `make setup` installs it"
    );
    if SAID.lock().unwrap().insert(server) {
        let line = format!(
            "LEFT OUT: what needs {server}, which is not installed; `make setup` installs it\n"
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// What a program that ends by itself printed; it must succeed.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}: {stderr}");
    String::from_utf8_lossy(&stdout).into_owned()
}

/// Its version.
pub fn version(program: &mut Command) -> String {
    let text = output(program.arg("--version"));
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version = text.split_whitespace().find(is_version);
    version
        .unwrap_or_else(|| panic!("no version: {text}"))
        .to_owned()
}
