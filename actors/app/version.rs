//! What this build can do.

use crate::config::{HAS_OIDC, HAS_TLS};

/// Of the library, whatever program it is part of.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The databases that can hold the daemon's own tables; `mysql` is MariaDB too.
const OWN_TABLES: [&str; 3] = ["sqlite", "mysql", "postgres"];

/// For programs: what this build has.
pub(super) fn features() -> Vec<&'static str> {
    let mut features = OWN_TABLES.to_vec();
    if HAS_TLS {
        features.push("tls");
    }
    if HAS_OIDC {
        features.push("oidc");
    }
    features
}

/// For people, after the program's name.
pub(super) fn line(program: &str) -> String {
    let tls = if HAS_TLS { "with" } else { "without" };
    let built = format!("{}; {tls} tls", OWN_TABLES.join(", "));
    match program {
        "simplest_script" => format!("{VERSION} ({built})"),
        // A program of the user's has a version of its own, which we do not know.
        _ => format!("(simplest_script {VERSION}; {built})"),
    }
}
