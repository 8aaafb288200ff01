//! Standard output and error, which may be closed or full when the work is done: that is no reason to panic over it.

use std::io::{self, Write};

use crate::bootstrap::failure::Failure;

/// Prints a text. Who reads only its beginning (`| head`) has what they want, and the command ends as its work did.
///
/// # Errors
///
/// When it cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "standard output cannot be written: {cause}"
        ))),
        _ => Ok(()),
    }
}

/// Writes an error to standard error. Where that cannot be written to, the exit status remains.
pub(crate) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A text of others on one line: it may hold line breaks, and what moves the cursor.
pub(crate) fn one_line(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_is_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2J测"), "a\\nb\\u{1b}[2J测");
    }
}
