//! Where a server's programs are: on the machine itself, or in a small Debian system of a newer release below
//! `target/servers/`, which `newer.sh` unpacks.
//!
//! The programs of such a system find their libraries only with it as their root directory. That takes root's rights.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::folder;
use super::install::{output, program};

/// Of which releases the servers are that have several. MySQL has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Releases {
    /// The machine's own.
    Installed,
    /// MariaDB 11.8, PostgreSQL 18, Redis 8.
    Newer,
    /// Valkey 9 in place of Redis; the others are the machine's own.
    Valkey,
    /// Redis 6.2, the oldest that is supported; the others are the machine's own.
    Oldest,
}

impl Releases {
    /// By the environment variable `TEST_SERVERS`, for a whole run of tests.
    pub fn of_this_run() -> Self {
        let asked = std::env::var("TEST_SERVERS").unwrap_or_default();
        match asked.as_str() {
            "" | "installed" => Self::Installed,
            "newer" => Self::Newer,
            "valkey" => Self::Valkey,
            "oldest" => Self::Oldest,
            other => {
                panic!("TEST_SERVERS={other}; wanted `installed`, `newer`, `valkey` or `oldest`")
            }
        }
    }
}

/// The root directory of programs, as they see it.
#[derive(Clone)]
pub struct Root(Option<PathBuf>);

/// Whom a server runs as that refuses to run as root.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// In Debian's systems and on nearly all others.
const NOBODY: User = User {
    uid: 65_534,
    gid: 65_534,
};

impl Root {
    /// The machine's own.
    pub fn machine() -> Self {
        Self(None)
    }

    /// The system that `newer.sh` unpacked under this name. `None`: it did not, or we may not change into it.
    pub fn newer(name: &str) -> Option<Self> {
        let path = folder::root().join(name);
        let is_usable = path.join(".done").exists() && rustix::process::geteuid().is_root();
        is_usable.then_some(Self(Some(path)))
    }

    /// The path of a program, as it is within.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let Some(root) = &self.0 else {
            return program(name);
        };
        let folders = ["usr/sbin", "usr/bin", "usr/lib/postgresql/18/bin"];
        let paths = folders.map(|folder| Path::new(folder).join(name));
        let found = paths.into_iter().find(|path| root.join(path).is_file());
        found.map(|path| Path::new("/").join(path))
    }

    /// A folder that programs within can reach, for data.
    pub fn home(&self) -> PathBuf {
        self.0
            .as_ref()
            .map_or_else(folder::root, |root| root.join("srv"))
    }

    /// How a path below [`Root::home`] is called within.
    pub fn within(&self, path: &Path) -> PathBuf {
        match &self.0 {
            None => path.to_owned(),
            Some(root) => Path::new("/").join(path.strip_prefix(root).unwrap()),
        }
    }

    /// The path of what is called so within.
    pub fn outside(&self, path: &Path) -> PathBuf {
        match &self.0 {
            None => path.to_owned(),
            Some(root) => root.join(path.strip_prefix("/").unwrap()),
        }
    }

    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(root) = &self.0 {
            change_root(&mut command, root, None);
        }
        command
    }

    /// As another user than root.
    pub fn command_as(&self, program: &Path, user: User) -> Command {
        let mut command = Command::new(program);
        match &self.0 {
            Some(root) => change_root(&mut command, root, Some(user)),
            // That user may not be allowed to see the folder that the tests run in.
            None => drop(command.uid(user.uid).gid(user.gid).current_dir("/")),
        }
        command
    }

    /// The user for a server that root may not run; `None` where we are not root.
    pub fn instead_of_root(&self, name: &str) -> Option<User> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        if self.0.is_some() {
            return Some(NOBODY);
        }
        let id = |which| output(Command::new("id").args([which, name]));
        let number = |which| id(which).trim().parse().unwrap();
        Some(User {
            uid: number("-u"),
            gid: number("-g"),
        })
    }
}

fn change_root(command: &mut Command, root: &Path, user: Option<User>) {
    let root = CString::new(root.as_os_str().as_bytes()).unwrap();
    command.env("LC_ALL", "C");
    let change = move || {
        rustix::process::chroot(&root)?;
        rustix::process::chdir(c"/")?;
        if let Some(User { uid, gid }) = user {
            let (uid, gid) = (
                rustix::process::Uid::from_raw(uid),
                rustix::process::Gid::from_raw(gid),
            );
            set_thread_groups(&[])?;
            set_thread_res_gid(gid, gid, gid)?;
            set_thread_res_uid(uid, uid, uid)?;
        }
        Ok(())
    };
    // SAFETY: system calls, none of which allocates or takes a lock; the child has one thread.
    unsafe { command.pre_exec(change) };
}
