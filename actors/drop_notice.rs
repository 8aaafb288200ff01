//! Notifies an owner that its child is gone, after a stop and after a panic alike.

/// Calls its function when it is dropped: an actor holds one, and is dropped after a stop and after a panic alike
/// (`Actor::stopping` would not do: it is not called after a panic).
pub(crate) struct GoneNotice(Option<Box<dyn FnOnce() + Send>>);

impl GoneNotice {
    pub(crate) fn new(notify: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(notify)))
    }

    /// For a child whose owner does not care.
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Drop for GoneNotice {
    fn drop(&mut self) {
        if let Some(notify) = self.0.take() {
            notify();
        }
    }
}
