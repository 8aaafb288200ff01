//! Asks a daemon over its socket, and gives it orders; for the command line.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::short_path::ShortPath;

/// A daemon that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// An order may wait for its turn behind others. Shorter than the longest connection.
const ORDER_PATIENCE: Duration = Duration::from_secs(55);
/// More than the state of a daemon with thousands of entries.
const MOST_BYTES: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Its daemon ended without removing the file.
    #[error("no daemon answers there")]
    NoDaemon,
    #[error("the daemon cannot be asked: {0}")]
    Io(#[from] io::Error),
    /// The status line, or what is left of it.
    #[error("the daemon answered `{0}`")]
    Status(String),
}

/// The body of a `GET`.
pub(crate) fn get(socket: &Path, path: &str) -> Result<Vec<u8>, ClientError> {
    let (line, body) = exchange(socket, &format!("GET {path}"), PATIENCE)?;
    match status_of(&line) {
        Some("200") => Ok(body),
        _ => Err(ClientError::Status(line)),
    }
}

/// What a `POST` is answered, whatever its status.
pub(crate) fn order(socket: &Path, path: &str) -> Result<Vec<u8>, ClientError> {
    let (line, body) = exchange(socket, &format!("POST {path}"), ORDER_PATIENCE)?;
    match status_of(&line) {
        Some(_) => Ok(body),
        None => Err(ClientError::Status(line)),
    }
}

/// The status line and the body of an answer.
fn exchange(
    socket: &Path,
    what: &str,
    patience: Duration,
) -> Result<(String, Vec<u8>), ClientError> {
    let short = ShortPath::of(socket)?;
    let mut stream = UnixStream::connect(short.path()).map_err(|cause| match cause.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ClientError::NoDaemon,
        _ => ClientError::Io(cause),
    })?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer is not chunked, and the connection is closed behind it.
    write!(
        stream,
        "{what} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    split(answer)
}

fn split(answer: Vec<u8>) -> Result<(String, Vec<u8>), ClientError> {
    const END: &[u8] = b"\r\n\r\n";
    let line = answer.split(|byte| *byte == b'\r').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    match answer.windows(END.len()).position(|bytes| bytes == END) {
        Some(head) => Ok((line, answer[head + END.len()..].to_vec())),
        None => Err(ClientError::Status(line)),
    }
}

fn status_of(line: &str) -> Option<&str> {
    line.split(' ').nth(1)
}
