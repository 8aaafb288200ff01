//! What dead daemons left behind: which messages ended them, and which were merely in flight.
//!
//! A file is judged by one daemon at a time: it holds the file's lock until it has written the deaths
//! down. A file that cannot be read is removed when it is one of ours (torn by a power cut, or another
//! version's: its handlers have long run again, and it would be reported at each start for ever), and
//! left alone when it is another daemon's.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::cause_of_death::{self, Death};
use super::file::UNLOCKED_PREFIX;
use super::kernel::{self, OomKills};
use super::layout::{FILE_PREFIX, HEADER_BYTES, Header, Unreadable};
use super::lock::{Against, Locked};
use super::{Identity, SlotError};

/// A daemon locks its new file within microseconds; one this old lost its daemon in between.
const STALE_UNLOCKED: Duration = Duration::from_secs(3600);
/// A judge that checks whether a file is dead holds its lock for microseconds: worth trying again.
const LOCK_TRIES: u32 = 100;
/// Longer than any such question, unless its thread is off the processor.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A dead daemon's file, locked against other judges while this exists.
#[derive(Debug)]
pub(crate) struct DeadFile {
    pub(crate) partition: String,
    pub(crate) boot: String,
    /// To be counted in the database; the boot and the identity together make each one count once.
    pub(crate) deaths: Vec<(Identity<'static>, Death)>,
    /// All that was taken and not finished, the dead ones included.
    pub(crate) in_flight: Vec<Identity<'static>>,
    path: PathBuf,
    _locked: Locked,
}

impl DeadFile {
    /// Whether the last write to it is older than `age`, as far as the file system shows.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed > age))
    }

    /// Removes the file; to be called when its deaths are in the database.
    pub(crate) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            log::warn!(
                "slot file `{path}` could not be removed; its deaths will be read again: {error}"
            );
        }
    }
}

/// Reads the files of all daemons that are dead, and locks them until each is dropped or removed.
///
/// # Errors
/// When the directory cannot be read; one that is not there holds no files.
pub(crate) fn dead_files(data_dir: &Path) -> Result<Vec<DeadFile>, SlotError> {
    judge_all(
        data_dir,
        &Now {
            kernel_boot: kernel::boot_id(),
            kills: OomKills::read(),
        },
    )
}

/// The kernel's state at the moment of judging.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) kernel_boot: Option<String>,
    pub(crate) kills: OomKills,
}

pub(crate) fn judge_all(data_dir: &Path, now: &Now) -> Result<Vec<DeadFile>, SlotError> {
    let list_error = |source| SlotError::List {
        path: data_dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(list_error(error)),
    };
    let mut dead = Vec::new();
    for entry in entries {
        let path = entry.map_err(list_error)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with(UNLOCKED_PREFIX) {
            remove_if_stale(&path);
        } else if name.starts_with(FILE_PREFIX) {
            dead.extend(judge(&path, now));
        }
    }
    Ok(dead)
}

/// One file that cannot be read must not keep the daemon from starting: it is logged, and passed over.
fn judge(path: &Path, now: &Now) -> Option<DeadFile> {
    let (locked, bytes) = match lock_and_read(path) {
        Ok(Some(read)) => read,
        Ok(None) => return None,
        // Another daemon judged it first.
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            log::warn!(
                "slot file `{}` cannot be read, deaths may go uncounted: {error}",
                path.display()
            );
            return None;
        }
    };
    let header = match Header::decode(&bytes) {
        Ok(header) => header,
        Err(fault) => {
            report_unreadable(path, &fault);
            return None;
        }
    };
    let same_kernel =
        !header.kernel_boot.is_empty() && Some(&header.kernel_boot) == now.kernel_boot.as_ref();
    let oom_at_work = same_kernel && now.kills.rose_since(&header.noted);
    let taken = cause_of_death::taken_slots(&bytes[HEADER_BYTES..]);
    Some(DeadFile {
        deaths: cause_of_death::deaths(&taken, oom_at_work),
        in_flight: taken.into_iter().map(|(identity, _)| identity).collect(),
        partition: header.partition,
        boot: header.boot,
        path: path.to_owned(),
        _locked: locked,
    })
}

/// `None`: its daemon lives, or another daemon judges it, or has just removed it.
fn lock_and_read(path: &Path) -> io::Result<Option<(Locked, Vec<u8>)>> {
    let Some(locked) = lock_dead(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    locked
        .file()
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut bytes)?;
    // A file that is not ours may be of any size and is none of our business.
    if Header::decode(&bytes).is_ok() {
        locked.file().read_to_end(&mut bytes)?;
    }
    Ok(Some((locked, bytes)))
}

fn lock_dead(path: &Path) -> io::Result<Option<Locked>> {
    for _ in 0..LOCK_TRIES {
        // For writing too: some network file systems give no exclusive lock without.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if let Some(locked) = Locked::try_new(file, Against::All)? {
            return Ok(is_in_place(locked.file()).then_some(locked));
        }
        // A shared lock is had beside a mere question, not beside a living daemon or another judge.
        if Locked::try_new(File::open(path)?, Against::Exclusive)?.is_none() {
            return Ok(None);
        }
        thread::sleep(LOCK_PAUSE);
    }
    Ok(None)
}

/// A file that was opened, then removed by another judge, is not locked and proves nothing.
fn is_in_place(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

fn report_unreadable(path: &Path, fault: &Unreadable) {
    let shown = path.display();
    if *fault == Unreadable::Foreign {
        log::warn!("`{shown}` is not a slot file and is left alone: {fault}");
        return;
    }
    log::warn!("slot file `{shown}` is removed unread, deaths may go uncounted: {fault}");
    if let Err(error) = fs::remove_file(path) {
        log::warn!("slot file `{shown}` could not be removed: {error}");
    }
}

fn remove_if_stale(path: &Path) {
    let age = fs::metadata(path).and_then(|metadata| metadata.modified());
    let stale = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE_UNLOCKED));
    if stale && let Err(error) = fs::remove_file(path) {
        log::warn!(
            "left-over `{}` could not be removed: {error}",
            path.display()
        );
    }
}
