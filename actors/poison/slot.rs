//! One running handler's slot.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layout::{RECORD_BYTES, RawSlot, level};
use super::signals::Entered;
use super::{Identity, SlotFile};

/// Where in the mapped file a slot lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) raw: NonNull<RawSlot>,
    pub(super) number: u32,
}

// SAFETY: it points into shared mapped memory that no thread owns; the holder of a `Place` (the free
// list, or one `Slot`) is the only writer of its record, and the rest is atomics.
unsafe impl Send for Place {}

impl Place {
    pub(super) fn raw(&self) -> &RawSlot {
        // SAFETY: the file that made it stays mapped as long as a `Place` of it is in use.
        unsafe { self.raw.as_ref() }
    }

    /// The identity first, then the level: a crash in between finds a free slot.
    pub(super) fn occupy(&self, identity: &Identity<'_>, level: u32) {
        // SAFETY: its holder is the only one who touches the record.
        identity.encode(unsafe { &mut *self.raw().record.get() });
        self.raw().state.store(level, Ordering::Release);
    }

    pub(super) fn vacate(&self) {
        self.raw().state.store(level::FREE, Ordering::Release);
        // SAFETY: as above.
        unsafe { self.raw().record.get().write([0; RECORD_BYTES]) };
    }
}

/// A taken slot: names what is in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    file: Arc<SlotFile>,
    place: Place,
    /// The other messages of a batch.
    followers: Vec<Place>,
    /// Not `Sync`: two threads inside one slot would undo each other's level.
    one_thread: PhantomData<std::cell::Cell<()>>,
}

impl Slot {
    pub(super) fn new(file: Arc<SlotFile>, place: Place, followers: Vec<Place>) -> Self {
        Self {
            file,
            place,
            followers,
            one_thread: PhantomData,
        }
    }

    /// Runs `work`, a handler's code, on this thread: what ends the process meanwhile is this slot's doing.
    ///
    /// Slots may be entered inside each other, also the same one; a crash is recorded for the innermost.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(&self.place.raw().state);
        work()
    }
}

/// One slot for the messages that one consumer runs one after the other: taken once, and free in between.
#[derive(Debug)]
pub(crate) struct OwnSlot(Slot);

impl OwnSlot {
    /// From a slot that was taken for one message.
    pub(crate) fn keep(slot: Slot) -> Self {
        debug_assert!(slot.followers.is_empty(), "taken for a batch");
        Self(slot)
    }

    /// It stands for this message now.
    pub(crate) fn name(&mut self, identity: &Identity<'_>) {
        self.0.place.occupy(identity, level::IDLE);
    }

    /// It stands for nothing until it is named again.
    pub(crate) fn clear(&mut self) {
        self.0
            .place
            .raw()
            .state
            .store(level::FREE, Ordering::Release);
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.0
    }

    pub(crate) fn into_slot(self) -> Slot {
        self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.file.release(self.place, &mut self.followers);
    }
}
