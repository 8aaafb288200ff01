//! What is written of warnings: their counts, and the notices that come of them.

use super::handle::{Db, mixed_up};
use crate::store::DbError;
use crate::store::warnings::{CountAdd, CountNotice, Counted, NoticeClaim};
use crate::store::write::{Write, Written};

impl Db {
    /// Durable when answered, if it is not held.
    pub(crate) async fn add_count(&self, add: CountAdd) -> Result<Counted, DbError> {
        match self.write(Write::AddCount(Box::new(add))).await? {
            Written::Counted(counted) => Ok(counted),
            other => Err(mixed_up(&other)),
        }
    }

    /// This boot has a receiver for the notices of that environment.
    pub(crate) async fn send_notices(
        &self,
        owner: String,
        environment: String,
    ) -> Result<(), DbError> {
        let write = Write::SendNotices { owner, environment };
        self.write(write).await.map(drop)
    }

    /// Notices that are this boot's now and that it did not have in its hands.
    pub(crate) async fn claim_notices(
        &self,
        claim: NoticeClaim,
    ) -> Result<Vec<CountNotice>, DbError> {
        match self.write(Write::ClaimNotices(Box::new(claim))).await? {
            Written::Notices(notices) => Ok(notices),
            other => Err(mixed_up(&other)),
        }
    }

    /// Deletes those of the notices that are this boot's: the receivers have them. Answers those that stay its own, as somebody
    /// has locked them or the database refuses it.
    pub(crate) async fn end_notices(
        &self,
        owner: String,
        ids: Vec<i64>,
    ) -> Result<Vec<i64>, DbError> {
        match self.write(Write::EndNotices { owner, ids }).await? {
            Written::Ids(left) => Ok(left),
            other => Err(mixed_up(&other)),
        }
    }

    /// Deletes windows that ended long ago.
    pub(crate) async fn trim_windows(&self) -> Result<usize, DbError> {
        self.count(Write::TrimWindows).await
    }

    /// Deletes notices that nobody has claimed for a day.
    pub(crate) async fn trim_notices(&self) -> Result<usize, DbError> {
        self.count(Write::TrimNotices).await
    }
}
