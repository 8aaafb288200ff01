//! How much a claim takes, and what became of the ends of claims: the same for tasks and messages.

/// How many rows or messages a claim takes. What does not fit stays as it is, for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) count: u32,
    /// Of all that they hold. The first one is taken whatever its size.
    pub(crate) bytes: u32,
}

impl Most {
    /// Of the bytes of rows in their order: how many rows fit.
    pub(crate) fn fitting(self, bytes: impl Iterator<Item = i64>) -> usize {
        let mut through = 0_i64;
        let fits = bytes.take_while(|bytes| {
            let is_first = through == 0;
            through = through.saturating_add(*bytes);
            is_first || through <= i64::from(self.bytes)
        });
        fits.count()
    }

    /// How many rows its claim is about.
    pub(super) fn rows(self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }
}

/// What became of ends. Those in neither list count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// Too late: others had taken over.
    pub(crate) stale: Vec<i64>,
    /// Not written, as another transaction has locked the row: to be tried again.
    pub(crate) held: Vec<i64>,
}

impl Settlement {
    pub(crate) fn of_stale(stale: Vec<i64>) -> Self {
        Self {
            stale,
            held: Vec::new(),
        }
    }
}
