//! The envelope header of a message that has failed, or whose daemon died: its name, its attempts, and when it was first
//! taken.
//!
//! The form is `ID ATTEMPTS FIRST_MS\n`, then the bytes as the producer wrote them. The scripts read the id and cut the
//! header off.

use bytes::Bytes;

/// The envelope header of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: String,
    /// Attempts that failed.
    pub(super) attempts: u32,
    /// When it was first taken from its list, unix milliseconds by the Redis server's clock.
    pub(super) first_ms: i64,
}

/// The name of a message that has no frame: the batch that took it, and its place there (1 for the first).
pub(super) fn id(boot: &str, number: u64, place: usize) -> String {
    let (mut batch, mut within) = (itoa::Buffer::new(), itoa::Buffer::new());
    [boot, "-", batch.format(number), "-", within.format(place)].concat()
}

impl Head {
    pub(super) fn encode(&self) -> String {
        format!("{} {} {}\n", self.id, self.attempts, self.first_ms)
    }

    /// Splits an envelope into its header and the message. `None` where another program wrote the element: then all of it is
    /// the message.
    pub(super) fn split(frame: &Bytes) -> Option<(Self, Bytes)> {
        let end = frame.iter().position(|byte| *byte == b'\n')?;
        let mut words = str::from_utf8(&frame[..end]).ok()?.split(' ');
        let head = Self {
            id: words.next().filter(|id| !id.is_empty())?.to_owned(),
            attempts: words.next()?.parse().ok()?,
            first_ms: words.next()?.parse().ok()?,
        };
        words
            .next()
            .is_none()
            .then(|| (head, frame.slice(end + 1..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_out_as_they_went_in() {
        let head = Head {
            id: id("0f.0", 7, 500),
            attempts: 3,
            first_ms: 1_764_000_000_123,
        };
        for payload in [
            &b""[..],
            b"\n",
            b"a\nb 1 2\n",
            b"\0\xff\n",
            "测试".as_bytes(),
        ] {
            let frame = Bytes::from([head.encode().as_bytes(), payload].concat());
            let (found, rest) = Head::split(&frame).unwrap();
            assert_eq!((found, &rest[..]), (head.clone(), payload));
        }
    }

    #[test]
    fn what_others_put_there_is_no_frame() {
        for text in [
            "",
            "x",
            "a b c\n",
            "a 1\n",
            "a 1 2 3\n",
            " 1 2\nx",
            "a -1 2\n",
        ] {
            assert_eq!(Head::split(&Bytes::from(text)), None, "{text:?}");
        }
    }
}
