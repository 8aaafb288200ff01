//! Chromium without a window, through its driver: what a test steers speaks WebDriver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{left_out, program};
use super::process::Process;

/// The driver's log has this once it takes connections, with the port that it chose.
const READY: &str = "was started successfully on port ";

/// The driver. It and the browsers that it started end when it is dropped, and with the test process: each browser listens
/// to the driver over a pipe, and ends with that.
pub struct ChromeDriver {
    process: Process,
    folder: PathBuf,
}

impl ChromeDriver {
    /// It and its browsers work in this folder, and write nowhere else. `None`: it is not installed.
    pub fn below(folder: &Path) -> Option<Self> {
        let (Some(driver), Some(_)) = (program("chromedriver"), program("chromium")) else {
            left_out("Chromium with its driver");
            return None;
        };
        for name in ["home", "tmp"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let place = folder.to_owned();
        let command = move || {
            let mut command = Command::new(&driver);
            command
                .arg("--port=0")
                .current_dir(&place)
                .env("HOME", place.join("home"))
                .env("TMPDIR", place.join("tmp"))
                .env_remove("XDG_CONFIG_HOME")
                .env_remove("XDG_CACHE_HOME");
            command
        };
        let process = Process::new("ChromeDriver", folder.join("driver.log"), READY, command);
        process.start().unwrap_or_else(|why| panic!("{why}"));
        Some(Self {
            process,
            folder: folder.to_owned(),
        })
    }

    /// Where it is spoken to.
    pub fn url(&self) -> String {
        let log = self.process.log();
        let port = log.split_once(READY).unwrap().1;
        let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
        format!("http://127.0.0.1:{digits}")
    }

    /// The options of a browser. All names below `test` are this machine.
    pub fn arguments(&self) -> Vec<String> {
        let profile = self.folder.join("profile");
        [
            "--headless",
            // The driver speaks over a pipe, and not over a port that others could take.
            "--remote-debugging-pipe",
            // A container has no namespaces for it; the pages are ours.
            "--no-sandbox",
            // A container's `/dev/shm` may be small.
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--disable-component-update",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            // A name is visited over plain HTTP, by its scheme.
            "--disable-features=HttpsUpgrades",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("--user-data-dir={}", profile.display())])
        .collect()
    }
}
