//! Asks a daemon over its socket; for the command line.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::short_path::ShortPath;

/// A daemon that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
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
    let short = ShortPath::of(socket)?;
    let mut stream = UnixStream::connect(short.path()).map_err(|cause| match cause.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ClientError::NoDaemon,
        _ => ClientError::Io(cause),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer is not chunked, and the connection is closed behind it.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    body(answer)
}

fn body(answer: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    const END: &[u8] = b"\r\n\r\n";
    let line = answer.split(|byte| *byte == b'\r').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let is_ok = line.split(' ').nth(1) == Some("200");
    let head = answer.windows(END.len()).position(|bytes| bytes == END);
    match (is_ok, head) {
        (true, Some(head)) => Ok(answer[head + END.len()..].to_vec()),
        _ => Err(ClientError::Status(line)),
    }
}
