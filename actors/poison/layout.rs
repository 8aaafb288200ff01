//! The bytes of a slot file: one header, then slots of one size.
//!
//! Written by the living daemon through mapped memory ([`super::file`]), read by its successors as plain
//! bytes ([`super::dead_files`]). Numbers are in the machine's own byte order: it is read where it was written.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64};

use thiserror::Error;

use super::SlotError;
use super::kernel::{CgroupKills, OomKills};

/// One page of memory on most machines: the slots begin on a page of their own.
pub(super) const HEADER_BYTES: usize = 4096;
/// Four cache lines, so that two threads' flags never share one, and room enough for an identity.
pub(super) const SLOT_BYTES: usize = 256;
/// What a slot holds beside its two words.
pub(super) const RECORD_BYTES: usize = SLOT_BYTES - 8;
/// The longest partition, boot or kernel boot in bytes: a partition has 20, a uuid 36.
pub(super) const NAME_BYTES: usize = 63;

const MAGIC: [u8; 8] = *b"slotfile";
/// To be raised with every change of the layout: a file of another version is not read.
const VERSION: u32 = 1;
/// In place of a count that could not be read.
const UNKNOWN: u64 = u64::MAX;

// Where the header's parts lie; each name has a length byte before it.
const VERSION_AT: usize = 8;
/// Where the three noted counts lie, as [`RawNotes`].
pub(super) const NOTES_AT: usize = 16;
const KERNEL_BOOT_AT: usize = 64;
const PARTITION_AT: usize = 128;
const BOOT_AT: usize = 192;

/// The levels of a slot, in the low byte of its first word.
pub(super) mod level {
    pub const FREE: u32 = 0;
    pub const IDLE: u32 = 1;
    pub const POLLED: u32 = 2;
    /// With the signal in the next byte; signal 0 stands for a call of `exit`.
    pub const FATAL: u32 = 3;
    /// One of a batch: its level is that of the slot which its second word names.
    pub const FOLLOWER: u32 = 4;

    pub const fn of(state: u32) -> u32 {
        state & 0xff
    }

    pub const fn signal_of(state: u32) -> i32 {
        ((state >> 8) & 0xff) as i32
    }

    pub const fn fatal(signal: i32) -> u32 {
        FATAL | ((signal as u32 & 0xff) << 8)
    }
}

/// A slot as it lies in mapped memory.
#[repr(C, align(256))]
pub(super) struct RawSlot {
    pub(super) state: AtomicU32,
    /// The number of the slot that this one follows.
    pub(super) leader: AtomicU32,
    pub(super) record: UnsafeCell<[u8; RECORD_BYTES]>,
}

const _: () = assert!(size_of::<RawSlot>() == SLOT_BYTES);

/// The counts of out-of-memory kills as they lie in mapped memory.
#[repr(C)]
pub(super) struct RawNotes {
    pub(super) system: AtomicU64,
    pub(super) cgroup: AtomicU64,
    pub(super) cgroup_kills: AtomicU64,
}

/// What stands in front of the slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Empty where the system has none.
    pub(super) kernel_boot: String,
    pub(super) partition: String,
    pub(super) boot: String,
    pub(super) noted: OomKills,
}

/// Why a file's header is not readable.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Unreadable {
    #[error("it does not begin as a slot file does")]
    Foreign,
    #[error("it is torn, as after a power cut")]
    Torn,
    #[error("it is of layout {0}; this program reads layout {VERSION}")]
    Version(u32),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        bytes[VERSION_AT..][..4].copy_from_slice(&VERSION.to_ne_bytes());
        for (at, count) in (NOTES_AT..).step_by(8).zip(to_words(self.noted)) {
            bytes[at..][..8].copy_from_slice(&count.to_ne_bytes());
        }
        for (at, name) in [
            (KERNEL_BOOT_AT, &self.kernel_boot),
            (PARTITION_AT, &self.partition),
            (BOOT_AT, &self.boot),
        ] {
            // `check_name` and the kernel keep all three within `NAME_BYTES`.
            bytes[at] = name.len() as u8;
            bytes[at + 1..][..name.len()].copy_from_slice(name.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let Some(magic) = bytes.first_chunk::<8>() else {
            return Err(Unreadable::Torn);
        };
        if *magic != MAGIC {
            // Zeros are what a file system leaves of a file whose blocks were not written in time.
            let zeros = *magic == [0; 8];
            return Err(if zeros {
                Unreadable::Torn
            } else {
                Unreadable::Foreign
            });
        }
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Unreadable::Torn)?;
        let version = u32_at(header, VERSION_AT);
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let name = |at| name_at(header, at).ok_or(Unreadable::Torn);
        Ok(Self {
            kernel_boot: name(KERNEL_BOOT_AT)?,
            partition: name(PARTITION_AT)?,
            boot: name(BOOT_AT)?,
            noted: from_words([0, 1, 2].map(|word| u64_at(header, NOTES_AT + 8 * word))),
        })
    }
}

/// The three words that stand for noted counts.
pub(super) fn to_words(kills: OomKills) -> [u64; 3] {
    let (cgroup, cgroup_kills) = match kills.cgroup {
        Some(own) => (own.cgroup, own.kills),
        None => (UNKNOWN, UNKNOWN),
    };
    [kills.system.unwrap_or(UNKNOWN), cgroup, cgroup_kills]
}

fn from_words([system, cgroup, kills]: [u64; 3]) -> OomKills {
    OomKills {
        system: (system != UNKNOWN).then_some(system),
        cgroup: (cgroup != UNKNOWN && kills != UNKNOWN).then_some(CgroupKills { cgroup, kills }),
    }
}

/// The name of a daemon's slot file.
///
/// # Errors
/// When one of the two cannot stand in a file's name or in the header.
pub(super) fn file_name(partition: &str, boot: &str) -> Result<String, SlotError> {
    for name in [partition, boot] {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=NAME_BYTES).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(SlotError::Name(name.to_owned()));
        }
    }
    Ok(format!("{FILE_PREFIX}{partition}-{boot}"))
}

/// What every slot file's name begins with.
pub(super) const FILE_PREFIX: &str = "running-";

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn name_at(bytes: &[u8; HEADER_BYTES], at: usize) -> Option<String> {
    let length = usize::from(bytes[at]);
    if length > NAME_BYTES {
        return None;
    }
    str::from_utf8(&bytes[at + 1..][..length])
        .ok()
        .map(str::to_owned)
}
