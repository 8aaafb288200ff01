//! A configuration file, from the disk to its text.
//!
//! What cannot be a configuration is refused before it is read: a directory, a pipe (which would
//! hold up the start), a dump of 100 MB.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use super::fault::{Fault, Place};
use super::lines::Lines;
use super::quote;

/// The largest file that is read: some 10,000 entries with their comments, and the tree made of it
/// takes up to forty times as much memory.
pub(crate) const LARGEST: u64 = 4 * 1024 * 1024;

/// What stands before UTF-8 text from some Windows editors.
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
/// What stands before UTF-16 text, in either byte order.
const UTF16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Reads a file; `missing` is what would be right when there is none.
pub(crate) fn read(path: &Path, missing: impl FnOnce() -> String) -> Result<String, Fault> {
    let name = path.display().to_string();
    match bytes(path) {
        Ok(bytes) => text(&name, bytes),
        Err(Unread::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let message = match fs::read_link(path) {
                Ok(target) => format!(
                    "is a link to {}, which is not there",
                    quote::name(&target.to_string_lossy())
                ),
                Err(_) => format!("there is no such file; {}", missing()),
            };
            Err(Fault::of_file(&name, message))
        }
        Err(error) => Err(Fault::of_file(&name, error.to_string())),
    }
}

/// Takes bytes as UTF-8 text, without a byte order mark.
pub(crate) fn text(name: &str, mut bytes: Vec<u8>) -> Result<String, Fault> {
    if UTF16_BOMS.iter().any(|bom| bytes.starts_with(bom)) {
        return Err(Fault::of_file(name, "is UTF-16; save it as UTF-8"));
    }
    if bytes.starts_with(UTF8_BOM) {
        bytes.drain(..UTF8_BOM.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let place: Place = Lines::of(&good).place(&good, valid);
        let byte = error.as_bytes()[valid];
        Fault::at(
            name,
            place,
            "",
            format!("byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"),
        )
    })
}

#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is a directory; a JSON file would be right")]
    Directory,
    #[error("is no regular file; a JSON file would be right")]
    Special,
    #[error("is larger than {} MiB; no configuration is", LARGEST / 1024 / 1024)]
    TooLarge,
}

fn bytes(path: &Path) -> Result<Vec<u8>, Unread> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(Unread::Directory);
    }
    if !metadata.is_file() {
        return Err(Unread::Special);
    }
    if metadata.len() > LARGEST {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed: a file may grow, and some say that they are empty.
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unread::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        let fault = read(path, || "write one".to_owned()).unwrap_err();
        assert_eq!(fault.file(), path.display().to_string());
        assert_eq!(fault.place(), None);
        fault.message().to_owned()
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            message(dir.path()),
            "is a directory; a JSON file would be right"
        );
        assert_eq!(
            message(&dir.path().join("none")),
            "there is no such file; write one"
        );
        assert_eq!(
            message(Path::new("/dev/null")),
            "is no regular file; a JSON file would be right"
        );
    }

    #[test]
    fn a_dump_is_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.json");
        // Sparse: it takes no room on the disk.
        File::create(&path)
            .unwrap()
            .set_len(100 * 1024 * 1024)
            .unwrap();
        assert_eq!(message(&path), "is larger than 4 MiB; no configuration is");
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(text("f", b"\xef\xbb\xbf[]".to_vec()).unwrap(), "[]");
        let fault = text("f", b"\xff\xfe[\0]\0".to_vec()).unwrap_err();
        assert_eq!(fault.message(), "is UTF-16; save it as UTF-8");
    }

    #[test]
    fn the_first_byte_that_is_not_utf8_is_named() {
        let fault = text("f", "[\n  \"测\u{0}".bytes().chain([0xff, b'"']).collect()).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "f:2:6: byte 0xff is not UTF-8; save the file as UTF-8"
        );
    }
}
