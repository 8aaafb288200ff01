//! What this program is called, and what this build can do.

use std::ffi::OsStr;
use std::path::Path;

use crate::config::{HAS_OIDC, HAS_TLS};

/// Of the library, whatever program it is part of.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The databases that can hold the daemon's own tables; `mysql` is MariaDB too.
const OWN_TABLES: [&str; 3] = ["sqlite", "mysql", "postgres"];

/// For programs: what this build has.
pub(crate) fn features() -> Vec<&'static str> {
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
pub(crate) fn line(program: &str) -> String {
    let tls = if HAS_TLS { "with" } else { "without" };
    let built = format!("{}; {tls} tls", OWN_TABLES.join(", "));
    match program {
        "simplest_script" => format!("{VERSION} ({built})"),
        // A program of the user's has a version of its own, which we do not know.
        _ => format!("(simplest_script {VERSION}; {built})"),
    }
}

/// What this program is called.
pub(crate) fn program() -> String {
    program_of(std::env::args_os().next().as_deref())
}

pub(crate) fn program_of(path: Option<&OsStr>) -> String {
    path.and_then(|path| Path::new(path).file_name())
        .map_or_else(
            || env!("CARGO_PKG_NAME").to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
}
