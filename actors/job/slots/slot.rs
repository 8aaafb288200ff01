//! One running handler's slot, and the future that is watched through it.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::layout::{RECORD_BYTES, RawSlot, level};
use super::signals::Entered;
use super::{Identity, SlotFile};

/// Where in the mapped file a slot lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) raw: NonNull<RawSlot>,
    pub(super) number: u32,
}

// SAFETY: it points into shared mapped memory that no thread owns; whoever holds a `Place` (the free
// list, or one `Slot`) is the only one who writes its record, and the rest is atomics.
unsafe impl Send for Place {}

impl Place {
    pub(super) fn raw(&self) -> &RawSlot {
        // SAFETY: the file that made it stays mapped as long as a `Place` of it is in use.
        unsafe { self.raw.as_ref() }
    }

    /// The identity first, then the level: a crash in between finds a free slot.
    pub(super) fn occupy(&self, identity: &Identity, level: u32) {
        // SAFETY: its holder is the only one who touches the record.
        unsafe { self.raw().record.get().write(identity.encode()) };
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
    /// Slots may be entered inside each other, also the same one; the innermost is charged.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(&self.place.raw().state);
        work()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.file.give_back(self.place, &mut self.followers);
    }
}

/// A future whose polls, and whose end, run inside a slot.
pub(crate) struct Watched<S: Borrow<Slot>, F> {
    slot: S,
    future: ManuallyDrop<F>,
}

/// Polls `future` inside `slot`; hand the slot over to free it with the future, or lend it to keep it.
pub(crate) fn watch<S: Borrow<Slot>, F: Future>(slot: S, future: F) -> Watched<S, F> {
    Watched {
        slot,
        future: ManuallyDrop::new(future),
    }
}

impl<S: Borrow<Slot>, F: Future> Future for Watched<S, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with its owner: never moved out, and dropped where it lies. `slot`
        // is only looked at.
        let (slot, future) = unsafe {
            let this = self.get_unchecked_mut();
            (&this.slot, Pin::new_unchecked(&mut *this.future))
        };
        slot.borrow().enter(|| future.poll(context))
    }
}

impl<S: Borrow<Slot>, F> Drop for Watched<S, F> {
    /// A future that ran out of time is dropped half done, and its destructors are business code too.
    fn drop(&mut self) {
        let Self { slot, future } = self;
        // SAFETY: dropped once, here, and not touched again.
        (*slot)
            .borrow()
            .enter(|| unsafe { ManuallyDrop::drop(future) });
    }
}

// Only a pinned future must not move; the slot beside it may.
impl<S: Borrow<Slot>, F: Unpin> Unpin for Watched<S, F> {}
