//! The SQLSTATE of a connection's last error. diesel-async keeps the texts of PostgreSQL's errors, which are in whatever
//! language the server speaks, and drops the codes; so they are read here, from the bytes on their way to the client.
//!
//! The protocol: each message is a byte for its kind, four bytes for its length (these four included), and its body. The
//! body of an error is a list of fields: a byte for the field's kind, its text, and NUL.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Five characters, such as `23505`.
pub(crate) type SqlState = [u8; 5];

/// Where the codes of one connection's errors are noted.
#[derive(Debug, Clone, Default)]
pub(crate) struct SqlStates(Arc<Mutex<Option<SqlState>>>);

impl SqlStates {
    /// The code of the last error since the last call. An error reaches its caller after its code is here.
    pub(crate) fn take(&self) -> Option<SqlState> {
        self.0.lock().take()
    }

    fn note(&self, code: SqlState) {
        *self.0.lock() = Some(code);
    }
}

/// A stream of messages from the server, above TLS.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) stream: S,
    messages: Messages,
    states: SqlStates,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, states: SqlStates) -> Self {
        Self {
            stream,
            messages: Messages::default(),
            states,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            messages,
            states,
        } = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        messages.read(read, |code| states.note(code));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

const HEADER_BYTES: usize = 5;
/// The length counts itself.
const LENGTH_BYTES: usize = 4;
/// The kind of an error's message, and of its field with the code.
const ERROR: u8 = b'E';
const CODE: u8 = b'C';
/// How much of an error is read: its severity, twice, and its code come first.
const ERROR_BYTES: usize = 128;

/// Where in the stream we are.
#[derive(Debug, Default)]
struct Messages {
    header: Vec<u8>,
    /// Of the body of the message whose header is complete.
    left: usize,
    /// The beginning of the body, where the message is an error.
    error: Option<Vec<u8>>,
}

impl Messages {
    fn read(&mut self, mut bytes: &[u8], mut note: impl FnMut(SqlState)) {
        while !bytes.is_empty() {
            if self.header.len() < HEADER_BYTES {
                let missing = HEADER_BYTES - self.header.len();
                let (header, rest) = bytes.split_at(missing.min(bytes.len()));
                self.header.extend_from_slice(header);
                bytes = rest;
                let [kind, length @ ..] = self.header.as_slice() else {
                    continue;
                };
                let Ok(length) = length.try_into().map(u32::from_be_bytes) else {
                    continue;
                };
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.left = length.saturating_sub(LENGTH_BYTES);
                self.error = (*kind == ERROR).then(Vec::new);
            }
            let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= body.len();
            bytes = rest;
            if let Some(error) = &mut self.error {
                let room = ERROR_BYTES.saturating_sub(error.len());
                error.extend(body.iter().take(room));
            }
            if self.left == 0 {
                self.header.clear();
                if let Some(code) = self.error.take().and_then(|error| code_in(&error)) {
                    note(code);
                }
            }
        }
    }
}

fn code_in(error: &[u8]) -> Option<SqlState> {
    let fields = error.split(|byte| *byte == 0);
    let mut codes = fields.filter_map(|field| field.strip_prefix(&[CODE]));
    codes.next()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + LENGTH_BYTES).unwrap();
        [&[kind], length.to_be_bytes().as_slice(), body].concat()
    }

    #[test]
    fn codes_are_read_however_the_bytes_are_cut() {
        let long = "x".repeat(3 * ERROR_BYTES);
        let error = |code: &str| {
            format!("SERREUR\0VERROR\0C{code}\0MC'est plein: C99999 {long}\0\0").into_bytes()
        };
        let stream = [
            message(b'D', b"C11111\0"),
            message(ERROR, &error("P0001")),
            message(b'Z', b"E"),
            message(b'N', b"SNOTICE\0C00000\0\0"),
            message(b'1', b""),
            message(ERROR, &error("23505")),
        ]
        .concat();
        for size in [1, 2, 3, 5, 7, 64, stream.len()] {
            let (mut messages, mut noted) = (Messages::default(), Vec::new());
            for bytes in stream.chunks(size) {
                messages.read(bytes, |code| noted.push(code));
            }
            assert_eq!(noted, [*b"P0001", *b"23505"], "{size}");
        }
    }
}
