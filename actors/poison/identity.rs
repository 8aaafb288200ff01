//! Which message a slot stands for, in a form that fits into the slot.
//!
//! A slot has room for [`TEXT_BYTES`] of text. Most identities are far shorter; a longer one keeps its
//! beginning, for people, and a hash of the whole, for comparing. It is shortened when it is *made*, so
//! one read from a dead daemon's file equals the one made anew from the same message, and `==` does.

use std::borrow::Cow;
use std::sync::Arc;

use super::layout::RECORD_BYTES;

/// Fence (8 bytes), kind, the two lengths (a byte each), and padding.
const HEAD_BYTES: usize = 16;
/// Room for the queue's name and the message's id together.
const TEXT_BYTES: usize = RECORD_BYTES - HEAD_BYTES;
/// The most a queue's name takes: about half, so that at least as much is left for the id.
const QUEUE_BYTES: usize = 120;
/// A mark and 128 bits in hexadecimal, at the end of a shortened text.
const HASH_BYTES: usize = 1 + 32;

/// What kind of work a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A message of a queue entry.
    Queue = 1,
    /// A row of the delay queue.
    Delay = 2,
    /// A record of a Kafka topic.
    Kafka = 3,
    /// A message of a Redis list.
    Redis = 4,
}

/// The part of the name that all messages of a queue share: made once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QueueName {
    kind: Kind,
    text: Arc<str>,
}

impl QueueName {
    /// One that is too long for a slot is shortened, always in the same way.
    pub(crate) fn new(kind: Kind, queue: &str) -> Self {
        Self {
            kind,
            text: shorten(queue.into(), QUEUE_BYTES).into(),
        }
    }

    /// Names a message of this queue; an id that is too long is shortened as well.
    pub(crate) fn message<'a>(&'a self, id: impl Into<Cow<'a, str>>, fence: i64) -> Identity<'a> {
        Identity::of(self.kind, Cow::Borrowed(&self.text), id.into(), fence)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The name of one message: equal for the same message, before and after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity<'a> {
    kind: Kind,
    queue: Cow<'a, str>,
    id: Cow<'a, str>,
    fence: i64,
}

impl<'a> Identity<'a> {
    /// Names a message; a queue or id that is too long for a slot is shortened, always in the same way.
    pub(crate) fn new(kind: Kind, queue: &'a str, id: impl Into<Cow<'a, str>>, fence: i64) -> Self {
        Self::of(kind, shorten(queue.into(), QUEUE_BYTES), id.into(), fence)
    }

    /// Of a queue whose name is short enough.
    fn of(kind: Kind, queue: Cow<'a, str>, id: Cow<'a, str>, fence: i64) -> Self {
        Self {
            kind,
            id: shorten(id, TEXT_BYTES - queue.len()),
            queue,
            fence,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The queue's name (of a delayed task: as its caller chose).
    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    /// The message's id within its queue.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The claim's fencing number, of a Redis message the attempt, of a Kafka record its topic; 0 where there is none.
    pub(crate) fn fence(&self) -> i64 {
        self.fence
    }

    /// Into the form that is kept in a slot. What stands behind it stays.
    pub(super) fn encode(&self, record: &mut [u8; RECORD_BYTES]) {
        let (queue, id) = (self.queue.as_bytes(), self.id.as_bytes());
        record[..8].copy_from_slice(&self.fence.to_ne_bytes());
        record[8] = self.kind as u8;
        // `new` keeps both below 256.
        record[9] = queue.len() as u8;
        record[10] = id.len() as u8;
        let text = &mut record[HEAD_BYTES..];
        text[..queue.len()].copy_from_slice(queue);
        text[queue.len()..][..id.len()].copy_from_slice(id);
    }

    /// What [`encode`](Self::encode) wrote; `None` when these bytes cannot be its work.
    pub(super) fn decode(record: &[u8; RECORD_BYTES]) -> Option<Identity<'static>> {
        let (fence, _) = record.split_first_chunk()?;
        let kind = match record[8] {
            1 => Kind::Queue,
            2 => Kind::Delay,
            3 => Kind::Kafka,
            4 => Kind::Redis,
            _ => return None,
        };
        let (queue_bytes, id_bytes) = (usize::from(record[9]), usize::from(record[10]));
        let text = record[HEAD_BYTES..].get(..queue_bytes + id_bytes)?;
        let (queue, id) = text.split_at(queue_bytes);
        Some(Identity {
            kind,
            queue: str::from_utf8(queue).ok()?.to_owned().into(),
            id: str::from_utf8(id).ok()?.to_owned().into(),
            fence: i64::from_ne_bytes(*fence),
        })
    }
}

/// `text`, or its beginning and a hash of it, in at most `room` bytes.
fn shorten(text: Cow<'_, str>, room: usize) -> Cow<'_, str> {
    if text.len() <= room {
        return text;
    }
    let mut end = room - HASH_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{:032x}", &text[..end], fnv1a_128(text.as_bytes())).into()
}

/// FNV-1a, 128 bits: short, and the same in every version of the daemon, which std's hasher is not.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_slot_is_read_again() {
        let long = "长".repeat(300);
        for queue in [
            "",
            "orders",
            "kafka测试",
            &"q".repeat(120),
            &"q".repeat(121),
            &long,
        ] {
            for id in [
                "",
                "7",
                &*"i".repeat(112),
                &"i".repeat(232),
                &"i".repeat(233),
                &long,
            ] {
                for fence in [0, 1, -1, i64::MAX, i64::MIN] {
                    for kind in [Kind::Queue, Kind::Delay, Kind::Kafka, Kind::Redis] {
                        let identity = Identity::new(kind, queue, id, fence);
                        // What another one left there is none of it.
                        let mut record = [b'x'; RECORD_BYTES];
                        identity.encode(&mut record);
                        assert_eq!(Identity::decode(&record), Some(identity));
                    }
                }
            }
        }
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        let identity = Identity::new(Kind::Queue, "kafka测试", "i".repeat(200), 3);
        assert_eq!(
            (identity.queue(), identity.id()),
            ("kafka测试", &*"i".repeat(200))
        );
        assert_eq!((identity.kind(), identity.fence()), (Kind::Queue, 3));
    }

    #[test]
    fn what_is_too_long_differs_where_only_its_end_does() {
        let id = |end: &str| Identity::new(Kind::Queue, "orders", "长".repeat(200) + end, 0);
        assert_ne!(id("a"), id("b"));
        assert_eq!(id("a"), id("a"));
        assert!(id("a").id().starts_with("长长长"));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a_128(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a_128(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn bytes_that_are_no_identity_are_refused() {
        assert_eq!(Identity::decode(&[0; RECORD_BYTES]), None);
        assert_eq!(Identity::decode(&[0xff; RECORD_BYTES]), None);
        let mut record = [0; RECORD_BYTES];
        Identity::new(Kind::Delay, "q", "i", 0).encode(&mut record);
        record[9] = 200;
        record[10] = 200;
        assert_eq!(Identity::decode(&record), None);
    }
}
