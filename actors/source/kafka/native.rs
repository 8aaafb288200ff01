//! What of librdkafka's is ours to give back.

use std::ptr::NonNull;

pub(super) struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    /// None: librdkafka gave nothing. `destroy` is librdkafka's own way to give this kind back.
    pub(super) fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self(NonNull::new(pointer)?, destroy))
    }

    pub(super) fn get(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, with this as the way to give it back.
        unsafe { (self.1)(self.0.as_ptr()) };
    }
}
