//! Standard output and error, which may be closed or full when the work is done: that is no reason to panic over it.

use std::io::{self, Write};

use super::failure::Failure;

/// Prints a text. Who reads only its beginning (`| head`) has what they want, and the command ends as its work did.
///
/// # Errors
///
/// When it cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "standard output cannot be written: {cause}"
        ))),
        _ => Ok(()),
    }
}

/// Says on standard error what was not right. Where nobody can be told, the exit status remains.
pub(super) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
