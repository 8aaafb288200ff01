//! Goes through dead letters, the oldest first, in portions of one transaction each.

use std::collections::VecDeque;

use super::meant::Meant;
use crate::store::rows::{DeadLetterFilter, DeadLetterHead};
use crate::store::{DbError, Reader};

/// Dead letters in one transaction: few enough for others to write in between.
pub(super) const PORTION: u32 = 500;

/// See the module's header.
pub(super) struct Walk<'a> {
    meant: &'a Meant,
    /// Where ids were named: those that are still to be read.
    ids: Option<VecDeque<i64>>,
    /// Ids that were named and not found.
    pub(super) missing: Vec<i64>,
    above: i64,
    /// The newest dead letter when the walk began. What dies again in the meantime is not met twice.
    last: i64,
    left: u64,
    /// Dead letters of one portion.
    portion: u32,
}

impl<'a> Walk<'a> {
    /// `portion`: dead letters in one transaction, `PORTION` at most.
    pub(super) async fn begin(
        reader: &dyn Reader,
        meant: &'a Meant,
        portion: u32,
    ) -> Result<Self, DbError> {
        let newest = reader.dead_letters(DeadLetterFilter::default(), 1).await?;
        let mut ids = meant.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        Ok(Self {
            meant,
            ids: (!ids.is_empty()).then(|| ids.into()),
            missing: Vec::new(),
            above: i64::MIN,
            last: newest
                .first()
                .map_or(i64::MIN, |dead_letter| dead_letter.id),
            left: meant.limit.unwrap_or(u64::MAX),
            portion: portion.min(PORTION),
        })
    }

    /// The next portion; an empty one is the end.
    pub(super) async fn next(
        &mut self,
        reader: &dyn Reader,
    ) -> Result<Vec<DeadLetterHead>, DbError> {
        loop {
            let asked = self.next_ids();
            if self.left == 0 || asked.as_ref().is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
            let filter = DeadLetterFilter {
                ids: asked.clone().unwrap_or_default(),
                ..self.meant.filter.clone()
            };
            let limit = self
                .portion
                .min(u32::try_from(self.left).unwrap_or(u32::MAX));
            let above = if asked.is_some() {
                i64::MIN
            } else {
                self.above
            };
            let mut heads = reader.dead_letter_heads(filter, above, limit).await?;
            if heads.is_empty() && asked.is_none() {
                return Ok(heads);
            }
            if let Some(head) = heads.last() {
                self.above = head.id;
            }
            // A limit may have cut them short; then nothing is missing.
            if let Some(asked) = asked
                && heads.len() < usize::try_from(limit).unwrap_or(usize::MAX)
            {
                let found = |id: &i64| heads.iter().any(|head| head.id == *id);
                self.missing
                    .extend(asked.into_iter().filter(|id| !found(id)));
            }
            // The filter lets some dead letters of other groups pass.
            heads.retain(|head| head.id <= self.last && self.meant.takes(head));
            if heads.is_empty() && self.above <= self.last {
                continue;
            }
            self.left -= u64::try_from(heads.len()).unwrap_or(self.left);
            return Ok(heads);
        }
    }

    fn next_ids(&mut self) -> Option<Vec<i64>> {
        let portion = usize::try_from(self.portion).unwrap_or(usize::MAX);
        let ids = self.ids.as_mut()?;
        let portion = ids.len().min(portion);
        Some(ids.drain(..portion).collect())
    }
}
