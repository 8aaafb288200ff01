//! What must not be seen: passwords, tokens, addresses with passwords in them.

use std::fmt;

/// A text that prints as `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An address as it may be logged: without its password and its query, which may hold one too.
pub(super) fn redacted(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else {
        return "***".to_owned();
    };
    if url.password().is_some() {
        // Fails only for addresses that cannot have a password.
        let _ = url.set_password(Some("***"));
    }
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            (
                "mysql://root:hunter2@h:3306/db?a=hunter2",
                "mysql://root:***@h:3306/db",
            ),
            ("redis://:hunter2@h/0#hunter2", "redis://:***@h/0"),
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("hunter2", "***"),
        ] {
            assert_eq!(redacted(address), shown);
        }
    }
}
