//! Messages, one a line, in the portions in which they are sent.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::app::failure::Failure;

/// Messages in one portion, which is one transaction where the queue is a table: enough for a commit to cost little.
const PORTION: usize = 1000;
/// And so many bytes of them: large messages are not gathered by the thousand.
const PORTION_BYTES: usize = 8 << 20;
/// So long a line waits for others to share its portion: a person watching notices nothing.
const GATHERING: Duration = Duration::from_millis(100);
/// Lines that are read ahead.
const AHEAD: usize = 64;

/// A line, or why there is none.
type Line = io::Result<Vec<u8>>;

/// Lines as they come, read on a thread of their own: reading may block for ever.
pub(super) struct Lines {
    name: String,
    lines: mpsc::Receiver<Line>,
    /// Behind the last of these there is none.
    next: Option<Line>,
}

/// Lines that are sent together.
pub(super) struct Portion {
    pub(super) payloads: Vec<Vec<u8>>,
    /// Why there is nothing behind them.
    pub(super) failed: Option<io::Error>,
}

impl Lines {
    pub(super) fn of_stdin() -> Self {
        Self::read("standard input".to_owned(), || io::stdin().lock())
    }

    /// # Errors
    ///
    /// When the file cannot be opened: nothing was sent then.
    pub(super) fn of_file(path: PathBuf) -> Result<Self, Failure> {
        let name = format!("`{}`", path.display());
        let file =
            File::open(&path).map_err(|cause| Failure::misused(format!("{name}: {cause}")))?;
        Ok(Self::read(name, || BufReader::new(file)))
    }

    fn read<R: BufRead>(name: String, from: impl FnOnce() -> R + Send + 'static) -> Self {
        let (tell, lines) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            // Nobody takes them any more once a portion could not be sent.
            for line in from().split(b'\n') {
                let failed = line.is_err();
                if tell.blocking_send(line.map(without_cr)).is_err() || failed {
                    return;
                }
            }
        });
        Self {
            name,
            lines,
            next: None,
        }
    }

    /// Where they come from, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next lines: all that come soon, as many as go together. None at the end.
    pub(super) async fn next(&mut self) -> Option<Portion> {
        let mut next = match self.next.take() {
            Some(line) => Some(line),
            None => self.lines.recv().await,
        };
        next.as_ref()?;
        let until = Instant::now() + GATHERING;
        let (mut payloads, mut bytes) = (Vec::new(), 0);
        while let Some(line) = next {
            let line = match line {
                Ok(line) => line,
                Err(cause) => {
                    let failed = Some(cause);
                    return Some(Portion { payloads, failed });
                }
            };
            bytes += line.len();
            if !payloads.is_empty() && bytes > PORTION_BYTES {
                self.next = Some(Ok(line));
                break;
            }
            payloads.push(line);
            if payloads.len() >= PORTION {
                break;
            }
            next = match self.lines.try_recv() {
                Ok(line) => Some(line),
                Err(_) => timeout_at(until, self.lines.recv()).await.unwrap_or(None),
            };
        }
        Some(Portion {
            payloads,
            failed: None,
        })
    }
}

fn without_cr(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn portions(mut lines: Lines) -> (Vec<Vec<Vec<u8>>>, Option<io::Error>) {
        let mut all = Vec::new();
        while let Some(Portion { payloads, failed }) = lines.next().await {
            all.push(payloads);
            if failed.is_some() {
                return (all, failed);
            }
        }
        (all, None)
    }

    fn of(text: impl AsRef<[u8]> + Send + 'static) -> Lines {
        Lines::read("it".to_owned(), || BufReader::new(io::Cursor::new(text)))
    }

    #[tokio::test]
    async fn lines_are_messages_with_whatever_ends_them() {
        let (read, failed) = portions(of("a\nb\r\n\n\r\r\n\u{e6}d")).await;
        let wanted: [&[u8]; 5] = [b"a", b"b", b"", b"\r", "\u{e6}d".as_bytes()];
        assert!(failed.is_none());
        assert_eq!(read.concat(), wanted);
        assert!(portions(of("")).await.0.is_empty());
        assert_eq!(portions(of("a\n")).await.0.concat(), [b"a"]);
    }

    #[tokio::test]
    async fn portions_are_bounded_by_messages_and_by_bytes() {
        let (read, _) = portions(of("x\n".repeat(2500))).await;
        assert!(read.iter().all(|portion| portion.len() <= PORTION));
        assert_eq!(read.concat().len(), 2500);
        let large = format!("{}\n", "y".repeat(3 << 20));
        let (read, _) = portions(of(large.repeat(7))).await;
        assert!(read.iter().all(|portion| portion.len() <= 2));
        assert_eq!(read.concat().len(), 7);
        let huge = "z".repeat(PORTION_BYTES + 1);
        let (read, _) = portions(of(format!("{huge}\n{huge}"))).await;
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    /// A disk that fails after so many bytes.
    struct Failing(io::Take<io::Repeat>);

    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::other("the disk is gone")),
                n => Ok(n),
            }
        }
    }

    #[tokio::test]
    async fn what_was_read_before_a_failure_is_sent() {
        let failing = || BufReader::new(Failing(io::repeat(b'\n').take(1500)));
        let (read, failed) = portions(Lines::read("it".to_owned(), failing)).await;
        assert_eq!(read.concat().len(), 1500);
        assert_eq!(failed.unwrap().to_string(), "the disk is gone");
    }
}
