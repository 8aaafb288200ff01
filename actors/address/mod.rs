//! What the address of a database server asks for, and connections that do so.

mod certificates;
pub(crate) mod mysql;
pub(crate) mod postgres;

/// The certificates of the authorities that this system trusts.
pub(crate) fn system_authorities() -> Vec<rustls::pki_types::CertificateDer<'static>> {
    // Only a file can fail.
    certificates::authorities(None).unwrap_or_default()
}

/// The value of a parameter of an address. Not as in a form, where a `+` is a blank.
fn decoded(value: &str) -> String {
    let parameter = format!("v={}", value.replace('+', "%2B"));
    let mut decoded = url::form_urlencoded::parse(parameter.as_bytes());
    decoded
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

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
