//! The Unix socket `PARTITION.sock` below the data directory, over which the command line asks.
//!
//! Only this user may connect: the file has mode 0600 before it has its name. It is bound under a name of its own in a
//! directory that only this user enters, and then renamed, so that there is no moment without a socket. During a redeploy
//! the newer daemon takes the name. A daemon that ends removes the file if it still is its own; one that finds no file, or
//! another's behind which nobody listens, binds again: so the older of two has the name again when the newer goes first,
//! by a kill too.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::short_path::ShortPath;

/// What the names of sockets end with.
const SUFFIX: &str = "sock";
/// The system answers at once whether a process listens; where it does not answer, one does.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// One daemon's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    /// Of a directory beside it that no other daemon uses.
    private: PathBuf,
    /// Device and inode of the file that this daemon made.
    ours: Mutex<Option<(u64, u64)>>,
}

impl Socket {
    pub(crate) fn new(data_dir: &Path, partition: &str, boot: &str) -> Self {
        // Its first eight characters distinguish the daemons of a directory.
        let short = &boot[..boot.len().min(8)];
        Self {
            path: data_dir.join(format!("{partition}.{SUFFIX}")),
            private: data_dir.join(format!(".{short}")),
            ours: Mutex::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, in the place of one that is there.
    pub(super) fn bind(&self) -> io::Result<UnixListener> {
        // Left by a boot of the same id: none, but a directory in the way must not keep the socket away.
        let _ = fs::remove_dir_all(&self.private);
        DirBuilder::new().mode(0o700).create(&self.private)?;
        let bound = self.bind_in_private();
        let _ = fs::remove_dir_all(&self.private);
        bound
    }

    fn bind_in_private(&self) -> io::Result<UnixListener> {
        let made = self.private.join("s");
        let listener = UnixListener::bind(ShortPath::of(&made)?.path())?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        let file = identity(&made)?;
        fs::rename(&made, &self.path)?;
        *self.ours.lock() = Some(file);
        Ok(listener)
    }

    /// Whether the name is to be had: there is no file, or one of another daemon behind which nobody listens.
    pub(super) async fn is_free(&self) -> bool {
        let file = match identity(&self.path) {
            Ok(file) => file,
            Err(cause) => return cause.kind() == io::ErrorKind::NotFound,
        };
        if *self.ours.lock() == Some(file) {
            return false;
        }
        let Ok(short) = ShortPath::of(&self.path) else {
            return false;
        };
        // Only a refusal proves that its daemon is dead. One whose queue is full, or that may not be asked, lives.
        let connect = timeout(CONNECT_PATIENCE, UnixStream::connect(short.path())).await;
        matches!(connect, Ok(Err(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Removes the file, unless another daemon has the name now.
    pub(crate) fn remove(&self) {
        let ours = self.ours.lock().take();
        if ours.is_some() && identity(&self.path).ok() == ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Every socket below a data directory, by name.
pub(super) fn all(data_dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data_dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == SUFFIX))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(socket: &Socket) -> io::Result<std::os::unix::net::UnixStream> {
        std::os::unix::net::UnixStream::connect(ShortPath::of(socket.path())?.path())
    }

    #[actix_rt::test]
    async fn the_newer_daemon_takes_the_sockets_name() {
        let dir = tempfile::tempdir().unwrap();
        let older = Socket::new(dir.path(), "script1", "aaaaaaaaaa");
        let newer = Socket::new(dir.path(), "script1", "bbbbbbbbbb");
        let _first = older.bind().unwrap();
        let mode = fs::metadata(older.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let _second = newer.bind().unwrap();
        older.remove();
        assert!(!older.is_free().await, "the newer one listens there");
        newer.remove();
        assert!(older.is_free().await);
        let _again = older.bind().unwrap();
        assert_eq!(all(dir.path()), [dir.path().join("script1.sock")]);
        older.remove();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[actix_rt::test]
    async fn the_older_daemon_takes_the_name_back() {
        let dir = tempfile::tempdir().unwrap();
        let older = Socket::new(dir.path(), "script1", "aaaaaaaaaa");
        let newer = Socket::new(dir.path(), "script1", "bbbbbbbbbb");
        let _first = older.bind().unwrap();
        assert!(!older.is_free().await, "it is its own");
        let second = newer.bind().unwrap();
        assert!(!older.is_free().await, "the newer one lives");
        drop(second);
        assert!(connect(&newer).is_err());
        assert!(older.is_free().await, "nobody listens there");
        let again = older.bind().unwrap();
        connect(&older).unwrap();
        again.accept().await.unwrap();
        assert!(!older.is_free().await);
    }

    #[actix_rt::test]
    async fn a_file_that_a_dead_daemon_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(Socket::new(dir.path(), "script1", "a").bind().unwrap());
        let next = Socket::new(dir.path(), "script1", "b");
        let listener = next.bind().unwrap();
        assert!(connect(&next).is_ok());
        listener.accept().await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[actix_rt::test]
    async fn a_long_data_directory_has_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("d".repeat(200)).join("e".repeat(200));
        fs::create_dir_all(&long).unwrap();
        let socket = Socket::new(&long, "script1", "a");
        let listener = socket.bind().unwrap();
        assert!(!socket.is_free().await);
        connect(&socket).unwrap();
        listener.accept().await.unwrap();
        drop(listener);
        assert!(connect(&socket).is_err());
        socket.remove();
        assert!(socket.is_free().await);
    }
}
