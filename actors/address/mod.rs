//! What the address of a database server asks for, and connections that do so.

pub(crate) mod mysql;
pub(crate) mod postgres;

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoConnection {
    /// A later try may succeed.
    #[error("{0}")]
    Away(String),
    /// The address is wrong, or nobody is let in with it.
    #[error("{0}")]
    Denied(String),
}
