//! The living daemon's own slot file: makes it, holds its lock, hands out slots.
//!
//! The file is made under another name, locked, and then renamed: a lock belongs to the open file, so no
//! other daemon ever sees it unlocked while we live. It grows by chunks, each mapped on its own: mapped
//! memory never moves, so a slot's flag can be set without asking anyone.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use memmap2::{MmapOptions, MmapRaw};
use parking_lot::Mutex;

use super::kernel::{self, OomKills};
use super::layout::{self, HEADER_BYTES, Header, NOTES_AT, RawNotes, RawSlot, SLOT_BYTES, level};
use super::lock::{Against, Locked};
use super::slot::{Place, Slot};
use super::{Identity, SlotError, signals};
use crate::private;

/// What a file is called until it is locked.
pub(super) const UNLOCKED_PREFIX: &str = ".starting-";
/// 64 KiB at a time: enough for most daemons at once, and a whole number of pages everywhere.
const CHUNK_SLOTS: u32 = 256;
const CHUNK_BYTES: usize = CHUNK_SLOTS as usize * SLOT_BYTES;

/// The slots of this daemon.
#[derive(Debug)]
pub(crate) struct SlotFile {
    path: PathBuf,
    locked: Locked,
    header: MmapRaw,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Kept mapped as long as the file lives.
    chunks: Vec<MmapRaw>,
    free: Vec<Place>,
}

impl SlotFile {
    /// Makes and locks the file of this boot, and begins to watch for fatal signals.
    ///
    /// # Errors
    /// When a name is unfit, or the directory or the file cannot be made.
    pub(crate) fn create(data_dir: &Path, partition: &str, boot: &str) -> Result<Self, SlotError> {
        let name = layout::file_name(partition, boot)?;
        let path = data_dir.join(&name);
        let header = Header {
            kernel_boot: kernel::boot_id().unwrap_or_default(),
            partition: partition.to_owned(),
            boot: boot.to_owned(),
            noted: OomKills::read(),
        };
        let unlocked = data_dir.join(format!("{UNLOCKED_PREFIX}{name}"));
        let made = private::create_dir_all(data_dir)
            .and_then(|()| Self::make(&unlocked, path.clone(), &header))
            .and_then(|file| fs::rename(&unlocked, &path).map(|()| file));
        match made {
            Ok(file) => {
                signals::install();
                Ok(file)
            }
            Err(source) => Err(SlotError::Create { path, source }),
        }
    }

    fn make(unlocked: &Path, path: PathBuf, header: &Header) -> io::Result<Self> {
        let file = private::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(unlocked)?;
        let locked = Locked::try_new(file, Against::All)?.ok_or(io::ErrorKind::WouldBlock)?;
        let file = locked.file();
        // Written, not only made longer: a full disk is an error here, not a SIGBUS later.
        file.write_all_at(&header.encode(), 0)?;
        let mapped = MmapOptions::new().len(HEADER_BYTES).map_raw(file)?;
        Ok(Self {
            path,
            locked,
            header: mapped,
            pool: Mutex::default(),
        })
    }

    /// Takes a slot for one message.
    ///
    /// # Errors
    /// When the file cannot grow.
    pub(crate) fn take(self: &Arc<Self>, identity: &Identity<'_>) -> Result<Slot, SlotError> {
        self.take_batch(std::slice::from_ref(identity))
    }

    /// Takes one slot for all messages of a batch: one handler runs them, so they share its fate.
    ///
    /// # Errors
    /// When there is no message, or the file cannot grow.
    pub(crate) fn take_batch(
        self: &Arc<Self>,
        identities: &[Identity<'_>],
    ) -> Result<Slot, SlotError> {
        let (first, rest) = identities.split_first().ok_or(SlotError::NoIdentity)?;
        let (place, followers) = self.free_places(rest.len())?;
        // The leader last: until then a crash finds followers of a free slot, which count for nothing.
        for (follower, identity) in followers.iter().zip(rest) {
            follower.raw().leader.store(place.number, Ordering::Relaxed);
            follower.occupy(identity, level::FOLLOWER);
        }
        place.occupy(first, level::IDLE);
        Ok(Slot::new(Arc::clone(self), place, followers))
    }

    /// Notes how often the kernel has killed for want of memory; to be called every few seconds.
    pub(crate) fn note_heartbeat(&self) {
        let [system, cgroup, cgroup_kills] = layout::to_words(OomKills::read());
        let notes = self.notes();
        notes.system.store(system, Ordering::Relaxed);
        notes.cgroup.store(cgroup, Ordering::Relaxed);
        notes.cgroup_kills.store(cgroup_kills, Ordering::Relaxed);
    }

    /// Removes the file at the end of a clean stop; slots still taken go on to work, unseen.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            log::warn!("slot file `{path}` could not be removed; the next start will: {error}");
        }
    }

    /// Takes back what [`take_batch`](Self::take_batch) gave.
    pub(super) fn release(&self, place: Place, followers: &mut Vec<Place>) {
        place.vacate();
        followers.iter().for_each(Place::vacate);
        let mut pool = self.pool.lock();
        pool.free.push(place);
        pool.free.append(followers);
    }

    fn free_places(&self, followers: usize) -> Result<(Place, Vec<Place>), SlotError> {
        let mut pool = self.pool.lock();
        while pool.free.len() <= followers {
            self.grow(&mut pool).map_err(|source| SlotError::Grow {
                path: self.path.clone(),
                source,
            })?;
        }
        let rest = pool.free.len() - followers;
        let followers = pool.free.split_off(rest);
        match pool.free.pop() {
            Some(place) => Ok((place, followers)),
            None => unreachable!("the loop above left one more than the followers"),
        }
    }

    fn grow(&self, pool: &mut Pool) -> io::Result<()> {
        let offset = (HEADER_BYTES + pool.chunks.len() * CHUNK_BYTES) as u64;
        self.locked.file().write_all_at(&[0; CHUNK_BYTES], offset)?;
        let chunk = MmapOptions::new()
            .offset(offset)
            .len(CHUNK_BYTES)
            .map_raw(self.locked.file())?;
        let Some(first) = NonNull::new(chunk.as_mut_ptr().cast::<RawSlot>()) else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let number = pool.chunks.len() as u32 * CHUNK_SLOTS;
        // The lowest number on top, so that the file's first pages are the busy ones.
        pool.free.extend((0..CHUNK_SLOTS).rev().map(|slot| Place {
            // SAFETY: within the chunk, which is as long as `CHUNK_SLOTS` of them.
            raw: unsafe { first.add(slot as usize) },
            number: number + slot,
        }));
        pool.chunks.push(chunk);
        Ok(())
    }

    fn notes(&self) -> &RawNotes {
        // SAFETY: the mapping is longer than that, lives as long as `self`, begins on a page, and is
        // written by others never.
        unsafe { &*self.header.as_mut_ptr().add(NOTES_AT).cast::<RawNotes>() }
    }
}
