//! Idempotency keys, asked of DbActor.

use super::handle::{Db, mixed_up};
use crate::store::DbError;
use crate::store::idempotency::{KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert};
use crate::store::write::{Write, Written};

impl Db {
    pub(crate) async fn insert_keyed(&self, insert: KeyedInsert) -> Result<Keyed, DbError> {
        match self.write(Write::InsertKeyed(Box::new(insert))).await? {
            Written::Keyed(keyed) => Ok(keyed),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn claim_key(&self, claim: KeyClaim) -> Result<KeyClaimed, DbError> {
        match self.write(Write::ClaimKey(Box::new(claim))).await? {
            Written::KeyClaimed(claimed) => Ok(claimed),
            other => Err(mixed_up(&other)),
        }
    }

    /// Changes nothing where the key is another attempt's by now.
    pub(crate) async fn end_key(
        &self,
        key: String,
        owner: String,
        end: KeyEnd,
    ) -> Result<(), DbError> {
        self.count(Write::EndKey { key, owner, end }).await?;
        Ok(())
    }

    pub(crate) async fn trim_keys(&self, before_ms: i64) -> Result<usize, DbError> {
        self.count(Write::TrimKeys { before_ms }).await
    }
}
