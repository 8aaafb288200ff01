//! Messages, one a line, in the portions in which they are sent.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::bootstrap::failure::Failure;

/// Messages in one portion, which is one transaction where the queue is a table: enough for a commit to cost little.
const PORTION: usize = 1000;
/// Bytes in one portion: large messages are not gathered by the thousand.
const PORTION_BYTES: usize = 8 << 20;
/// A message of more bytes goes alone: where it is too large for its queue it is refused alone, and it is known which one it
/// was. Alone it costs a round trip, which is little beside its bytes.
const LARGE: usize = 64 << 10;
/// How long a line waits for others to share its portion: a person watching notices nothing.
const GATHERING: Duration = Duration::from_millis(100);
/// Lines that are read ahead.
const AHEAD: usize = 64;

/// A line, or why there is none.
type Line = io::Result<Vec<u8>>;

/// Lines as they come, read on a thread of their own: reading may block for ever.
pub(super) struct Lines {
    from: From,
    lines: mpsc::Receiver<Line>,
    /// Behind the last of these there is none.
    next: Option<Line>,
}

/// Where they come from.
enum From {
    Arguments,
    StandardInput,
    File(PathBuf),
}

/// Lines that are sent together.
pub(super) struct Portion {
    pub(super) payloads: Vec<Vec<u8>>,
    /// Why there is nothing behind them.
    pub(super) failed: Option<io::Error>,
}

impl Lines {
    pub(super) fn of_stdin() -> Self {
        Self::read(From::StandardInput, || io::stdin().lock())
    }

    /// Messages of the command line.
    pub(super) fn of_arguments(messages: Vec<String>) -> Self {
        Self::made(From::Arguments, move || {
            messages.into_iter().map(|message| Ok(message.into_bytes()))
        })
    }

    /// # Errors
    ///
    /// When the file cannot be opened: nothing was sent then.
    pub(super) fn of_file(path: PathBuf) -> Result<Self, Failure> {
        let file = File::open(&path)
            .map_err(|cause| Failure::misused(format!("`{}`: {cause}", path.display())))?;
        Ok(Self::read(From::File(path), || BufReader::new(file)))
    }

    fn read<R: BufRead>(from: From, reader: impl FnOnce() -> R + Send + 'static) -> Self {
        Self::made(from, || {
            reader().split(b'\n').map(|line| line.map(without_cr))
        })
    }

    fn made<I: Iterator<Item = Line>>(
        from: From,
        lines: impl FnOnce() -> I + Send + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            // The receiver is gone once a portion could not be sent.
            for line in lines() {
                let failed = line.is_err();
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        Self {
            from,
            lines: receiver,
            next: None,
        }
    }

    /// Where they come from, for people.
    pub(super) fn name(&self) -> String {
        match &self.from {
            From::Arguments => "the command line".to_owned(),
            From::StandardInput => "standard input".to_owned(),
            From::File(path) => format!("`{}`", path.display()),
        }
    }

    /// What one of them is.
    pub(super) fn unit(&self) -> &'static str {
        match &self.from {
            From::Arguments => "message",
            From::StandardInput | From::File(_) => "line",
        }
    }

    /// The file that they are read from.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.from {
            From::File(path) => Some(path),
            From::Arguments | From::StandardInput => None,
        }
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
            let is_large = line.len() > LARGE;
            if !payloads.is_empty() && (bytes > PORTION_BYTES || is_large) {
                self.next = Some(Ok(line));
                break;
            }
            payloads.push(line);
            if payloads.len() >= PORTION || is_large {
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
        Lines::read(From::StandardInput, || {
            BufReader::new(io::Cursor::new(text))
        })
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
        let line = format!("{}\n", "y".repeat(LARGE));
        let (read, _) = portions(of(line.repeat(300))).await;
        assert!(
            read.iter()
                .all(|portion| portion.len() <= PORTION_BYTES / LARGE)
        );
        assert_eq!(read.concat().len(), 300);
        let huge = "z".repeat(PORTION_BYTES + 1);
        let (read, _) = portions(of(format!("{huge}\n{huge}"))).await;
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[tokio::test]
    async fn a_large_message_goes_alone() {
        let large = "z".repeat(LARGE + 1);
        let (read, _) = portions(of(format!("a\nb\n{large}\nc\n{large}\n{large}\nd"))).await;
        let alone = |portion: &Vec<Vec<u8>>| portion.len() == 1;
        let large: Vec<bool> = read
            .iter()
            .filter(|portion| portion.iter().any(|line| line.len() > LARGE))
            .map(alone)
            .collect();
        assert_eq!(large, [true; 3]);
        assert_eq!(read.concat().len(), 7);
    }

    #[tokio::test]
    async fn messages_of_the_command_line_may_have_several_lines() {
        let (read, _) = portions(Lines::of_arguments(vec![
            "a\nb\r".to_owned(),
            String::new(),
        ]))
        .await;
        assert_eq!(read.concat(), [b"a\nb\r".to_vec(), Vec::new()]);
    }

    /// A disk that fails after this many bytes.
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
        let (read, failed) = portions(Lines::read(From::StandardInput, failing)).await;
        assert_eq!(read.concat().len(), 1500);
        assert_eq!(failed.unwrap().to_string(), "the disk is gone");
    }
}
