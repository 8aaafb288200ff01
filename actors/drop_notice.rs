//! How an owner learns that a child of its is gone, whichever way it went.

/// Calls its function when it is dropped: an actor holds one, and is dropped after a stop and after a panic alike
/// (`Actor::stopping` would not do: it is not called after a panic).
pub(crate) struct GoneNotice(Option<Box<dyn FnOnce() + Send>>);

impl GoneNotice {
    pub(crate) fn new(tell: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// For a child whose owner does not care.
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Drop for GoneNotice {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell();
        }
    }
}
