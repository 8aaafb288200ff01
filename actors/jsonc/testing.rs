//! Helpers for the readers' tests: a text as a file named `f`, with an environment of its own.

use super::{node::Node, tree};

/// The environment of tests.
pub(crate) fn environment(name: &str) -> Option<String> {
    match name {
        "NAME" => Some("zeshi".to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        "SOON" => Some("90s".to_owned()),
        _ => None,
    }
}

/// What `read` makes of a text, and the faults as they are shown.
pub(crate) fn reading<T>(
    text: &str,
    read: impl FnOnce(&Node<'_>) -> T,
) -> (Option<T>, Vec<String>) {
    let (value, faults) = tree::read("f", text, &environment, "write `[]`", read);
    let shown = faults.listed.iter().map(ToString::to_string).collect();
    (value, shown)
}

/// The faults of a text, as they are shown.
pub(crate) fn faults<T>(text: &str, read: impl FnOnce(&Node<'_>) -> T) -> Vec<String> {
    reading(text, read).1
}

/// What `read` makes of a text without a fault.
pub(crate) fn good<T>(text: &str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> T {
    let (value, faults) = reading(text, read);
    assert_eq!(faults, [""; 0]);
    value.flatten().expect("no fault and yet no value")
}
