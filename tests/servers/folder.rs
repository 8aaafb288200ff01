//! Where servers keep their data: `target/servers/`.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::install::output;

pub fn root() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("servers")
}

/// The folder of one server; removed with it.
pub struct Folder {
    /// Where templates stand, and the folders of other servers.
    home: PathBuf,
    path: PathBuf,
    /// Held as long as the folder is in use, by a process: the lock ends with it.
    _lock: File,
}

impl Folder {
    /// A new one below `home`. Those that processes left behind are removed on the way.
    pub fn new(home: PathBuf, server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let root = home.join("run");
        fs::create_dir_all(&root).unwrap();
        // One at a time, so that no folder is taken for one that was left behind before its lock is held.
        let _turn = lock(&root.join("lock"));
        remove_in_the_background(left_behind(&root));
        // An earlier process may have had this one's id: in containers they begin anew.
        let path = loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = root.join(format!("{server}-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(e) => assert_eq!(e.kind(), ErrorKind::AlreadyExists, "{path:?}: {e}"),
            }
        };
        let lock = lock(&path.join("lock"));
        Self {
            home,
            path,
            _lock: lock,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A copy of what `make` made once, for what takes seconds to make. `-H`: where the template is a symbolic link, its
    /// folder is copied, not the link; a server would work in the template itself.
    pub fn copy(&self, name: &str, template: &str, make: impl FnOnce(&Path)) {
        let template = made_once(&self.home, template, make);
        output(
            Command::new("cp")
                .arg("-RpH")
                .arg(template)
                .arg(self.path(name)),
        );
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is still there is swept by the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Those whose processes have ended.
fn left_behind(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_free = |path: &PathBuf| {
        // No lock: its process died before it had one, or while it removed the folder.
        let lock = File::open(path.join("lock"));
        path.is_dir() && lock.map_or(true, |lock| lock.try_lock().is_ok())
    };
    entries.filter(is_free).collect()
}

/// It takes a while, of gigabytes. What is not done when this process ends is left to the next one.
fn remove_in_the_background(folders: Vec<PathBuf>) {
    thread::spawn(move || {
        for folder in folders {
            let _ = fs::remove_dir_all(folder);
        }
    });
}

/// A folder below `root` that `make` fills once, for all test processes: it is given a path that does not exist, and what
/// it left half done is never seen.
pub fn made_once(root: &Path, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    fs::create_dir_all(root).unwrap();
    let _turn = lock(&root.join(format!("{name}.lock")));
    let made = root.join(name);
    if !made.exists() {
        let unfinished = root.join(format!("{name}.unfinished"));
        let _ = fs::remove_dir_all(&unfinished);
        make(&unfinished);
        fs::rename(&unfinished, &made).unwrap();
    }
    made
}

fn lock(path: &Path) -> File {
    let file = File::create(path).unwrap();
    file.lock().unwrap();
    file
}
