//! A connection that knows the codes of its errors.

use std::ops::{Deref, DerefMut};

use diesel::result::{DatabaseErrorKind as Kind, Error};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection;

use super::server::limits::Limits;
use crate::address::postgres::SqlStates;
use crate::store::parts::Unclaimable;

/// See the module's header.
pub(in crate::store) struct Connection {
    inner: AsyncPgConnection,
    states: SqlStates,
    pub(super) limits: Limits,
    pub(super) unclaimable: Unclaimable,
}

impl Connection {
    pub(super) fn new(inner: AsyncPgConnection, states: SqlStates) -> Self {
        Self {
            inner,
            states,
            limits: Limits::default(),
            unclaimable: Unclaimable::default(),
        }
    }

    /// The SQLSTATE of the error, which is this connection's last one. None: the server did not say it.
    pub(super) fn code_of(&self, error: &Error) -> Option<String> {
        let noted = self.states.take();
        match error {
            // What is noted then may be that of an earlier error.
            Error::DatabaseError(Kind::UnableToSendCommand | Kind::ClosedConnection, _) => None,
            Error::DatabaseError(..) => {
                noted.map(|code| String::from_utf8_lossy(&code).into_owned())
            }
            _ => None,
        }
    }
}

impl Deref for Connection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.inner
    }
}

impl PoolableConnection for Connection {}
