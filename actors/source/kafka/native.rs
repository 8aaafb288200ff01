//! Objects of librdkafka that we have to destroy.

use std::ptr::NonNull;

pub(super) struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    /// None: librdkafka returned no object. `destroy`: librdkafka's function for objects of this kind.
    pub(super) fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self(NonNull::new(pointer)?, destroy))
    }

    pub(super) fn get(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: we own the object, and this is librdkafka's function that destroys it.
        unsafe { (self.1)(self.0.as_ptr()) };
    }
}
