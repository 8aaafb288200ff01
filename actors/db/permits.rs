//! Permits of a rate limit, asked of DbActor.

use super::handle::{Db, mixed_up};
use crate::store::DbError;
use crate::store::permits::{Granted, PermitAsk};
use crate::store::write::{Write, Written};

impl Db {
    pub(crate) async fn take_permits(&self, ask: PermitAsk) -> Result<Granted, DbError> {
        match self.write(Write::TakePermits(Box::new(ask))).await? {
            Written::Granted(granted) => Ok(granted),
            other => Err(mixed_up(&other)),
        }
    }
}
