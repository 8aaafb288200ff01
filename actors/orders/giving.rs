//! Gives the orders to pause and to resume. They are rows: every daemon of the environment that shares the tables reads them.

use super::PauseKind;
use crate::db::Db;
use crate::store::DbError;
use crate::store::rows::PauseOrder;
use crate::store::write::SetPause;

/// What is to rest, or to rest no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: PauseKind,
    /// Empty for the delay queue and for everything.
    pub(crate) name: String,
}

impl Target {
    pub(crate) fn describe(&self) -> String {
        self.kind.describe(&self.name)
    }
}

/// How something is to be from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Paused,
    Resumed,
}

/// Answers after the commit whether something changed: false where it was so already.
pub(crate) async fn give(
    db: &Db,
    environment: &str,
    target: &Target,
    wish: Wish,
    ordered_by: String,
) -> Result<bool, DbError> {
    let order = PauseOrder {
        environment: environment.to_owned(),
        kind: target.kind.column(),
        name: target.name.clone(),
        paused: wish == Wish::Paused,
        ordered_by,
        target: target.describe(),
    };
    db.write(SetPause(order)).await
}
