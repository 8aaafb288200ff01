//! What becomes of files that are no longer written to: packed, and in the end deleted.
//!
//! Any number of processes may sweep the same log: a file is touched only by the process that holds it
//! exclusively, which also keeps away from files that are still written to.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::lock::{self, Lock};
use super::names::{Entry, with_suffix};
use super::rolling::Spec;
use crate::private;

/// Bytes packed between two checks of the stop flag: some milliseconds of work.
const CHUNK_BYTES: usize = 256 * 1024;
/// Ends the name of a file that is being packed; what a killed process leaves is written over.
const UNFINISHED: &str = ".gz.tmp";

/// Packs and deletes what is due of one log. A file that resists is a warning, and comes up again.
pub(super) fn sweep(spec: &Spec, today: NaiveDate, stop: &AtomicBool) {
    let entries = match spec.names.entries() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let dir = spec.names.dir().display();
            log::warn!("log directory `{dir}` cannot be listed: {error}");
            return;
        }
    };
    let mut kept = Kept::default();
    for entry in entries.iter().filter(|entry| !is_active(entry, today)) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let result = if kept.exceeds(spec, entry, today) {
            delete(entry)
        } else if spec.limits.compress && !entry.packed {
            pack(spec, entry, stop)
        } else {
            Ok(())
        };
        if let Err(error) = result {
            let path = entry.path.display();
            log::warn!("log file `{path}` cannot be packed or deleted: {error}");
        }
    }
}

/// A file of today, or of a day that has not begun here: a writer may come at any time.
fn is_active(entry: &Entry, today: NaiveDate) -> bool {
    entry.number.is_none() && !entry.packed && entry.day >= today
}

/// Counts from the newest file down.
#[derive(Default)]
struct Kept {
    count: usize,
    last: Option<(NaiveDate, Option<u32>)>,
}

impl Kept {
    fn exceeds(&mut self, spec: &Spec, entry: &Entry, today: NaiveDate) -> bool {
        // For a moment a file is there both plain and packed, and is still one file.
        let identity = Some((entry.day, entry.number));
        if self.last != identity {
            self.count += 1;
            self.last = identity;
        }
        let limits = &spec.limits;
        let age_days = (today - entry.day).num_days();
        (limits.max_backups > 0 && self.count > limits.max_backups)
            || (limits.max_age_days > 0 && age_days > i64::from(limits.max_age_days))
    }
}

fn delete(entry: &Entry) -> io::Result<()> {
    if entry.packed {
        return gone(fs::remove_file(&entry.path));
    }
    if let Some(_held) = hold(&entry.path)? {
        gone(fs::remove_file(with_suffix(&entry.path, UNFINISHED)))?;
        gone(fs::remove_file(&entry.path))?;
    }
    Ok(())
}

fn pack(spec: &Spec, entry: &Entry, stop: &AtomicBool) -> io::Result<()> {
    let Some(source) = hold(&entry.path)? else {
        return Ok(());
    };
    let Some(path) = numbered(spec, entry)? else {
        return Ok(());
    };
    let unfinished = with_suffix(&path, UNFINISHED);
    match copy_packed(&source, &unfinished, stop) {
        Ok(Copied::Whole) => {}
        Ok(Copied::Stopped) => return fs::remove_file(&unfinished),
        Err(error) => {
            // The reason is what counts; an unfinished file is written over next time.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
    }
    fs::rename(&unfinished, with_suffix(&path, ".gz"))?;
    fs::remove_file(&path)
}

/// Gives a past day's own file a number first: that way its name is free at once for a writer
/// whose clock is behind, and is never packed twice into the same place.
fn numbered(spec: &Spec, entry: &Entry) -> io::Result<Option<PathBuf>> {
    if entry.number.is_some() {
        return Ok(Some(entry.path.clone()));
    }
    let Some(_gate) = lock::gate(&spec.names.gate())? else {
        return Ok(None);
    };
    let path = spec.names.next_rolled(entry.day)?;
    fs::rename(&entry.path, &path)?;
    Ok(Some(path))
}

/// The file, held exclusively; None when another process has it or has dealt with it.
fn hold(path: &Path) -> io::Result<Option<File>> {
    // Writing as well: network file systems lock exclusively only what may be written.
    let mut options = File::options();
    options.read(true).write(true);
    // What a link leads to is none of ours.
    options.custom_flags(libc::O_NOFOLLOW);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let held = lock::exclusive(&file)? == Lock::Held && lock::is_at(&file, path)?;
    Ok(held.then_some(file))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    Whole,
    Stopped,
}

fn copy_packed(mut source: &File, to: &Path, stop: &AtomicBool) -> io::Result<Copied> {
    let target = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(to)?;
    let _ = private::close_to_others(&target);
    let mut packer = GzEncoder::new(target, Compression::fast());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Copied::Stopped);
        }
        match source.read(&mut chunk)? {
            0 => break,
            count => packer.write_all(&chunk[..count])?,
        }
    }
    packer.finish()?.sync_all()?;
    Ok(Copied::Whole)
}

/// Deleting what is not there any more is done.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
