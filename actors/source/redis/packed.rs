//! Messages as the scripts answer them: in one piece, by MessagePack, which Redis's Lua speaks.
//!
//! An answer of many strings costs the server more to write, and the client to read and to keep, than all else that is
//! done with a fast message.

use std::ops::Range;
use std::sync::Arc;

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use bytes::Bytes;

/// Messages above this size get memory of their own: whoever keeps a smaller one keeps the piece of all.
const SMALL: usize = 1024;

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    piece: Bytes,
    places: Arc<[Range<usize>]>,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// As the producer wrote it. None: it has not so many.
    pub(super) fn get(&self, index: usize) -> Option<Bytes> {
        let place = self.places.get(index)?.clone();
        Some(match place.len() > SMALL {
            true => Bytes::copy_from_slice(&self.piece[place]),
            false => self.piece.slice(place),
        })
    }

    /// All of them, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.places.iter().cloned();
        places.map(|place| &self.piece[place])
    }

    /// None: it is no list of strings.
    fn read(piece: Bytes) -> Option<Self> {
        let mut rest = &piece[..];
        let n = rmp::decode::read_array_len(&mut rest).ok()?;
        let places = (0..n).map(|_| {
            let len = rmp::decode::read_str_len(&mut rest).ok()?;
            let len = usize::try_from(len).ok()?;
            let start = piece.len() - rest.len();
            rest = rest.get(len..)?;
            Some(start..start + len)
        });
        let places = places.collect::<Option<Arc<[_]>>>()?;
        Some(Self { piece, places })
    }
}

impl FromRedisValue for Packed {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let piece: Bytes = from_redis_value(value)?;
        let packed = Self::read(piece);
        packed.ok_or_else(|| "the script `take` answers a list in MessagePack".into())
    }
}

#[cfg(test)]
impl<T: AsRef<[u8]>> FromIterator<T> for Packed {
    fn from_iter<I: IntoIterator<Item = T>>(messages: I) -> Self {
        let (mut piece, mut places) = (Vec::new(), Vec::new());
        for message in messages {
            let start = piece.len();
            piece.extend_from_slice(message.as_ref());
            places.push(start..piece.len());
        }
        Self {
            piece: piece.into(),
            places: places.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut packed = Vec::new();
        let n = u32::try_from(messages.len()).unwrap();
        rmp::encode::write_array_len(&mut packed, n).unwrap();
        for message in messages {
            // As Lua does it: bytes are strings.
            let len = u32::try_from(message.len()).unwrap();
            rmp::encode::write_str_len(&mut packed, len).unwrap();
            packed.extend_from_slice(message);
        }
        packed
    }

    #[test]
    fn messages_of_any_length_and_bytes_come_out_as_they_went_in() {
        let lengths = [0, 1, 31, 32, 255, 256, 1024, 1025, 65_535, 65_536];
        for n in [0, 1, lengths.len(), 20, 1000] {
            let message = |at: usize| vec![u8::try_from(at % 251).unwrap(); lengths[at % 10]];
            let messages: Vec<Vec<u8>> = (0..n).map(message).collect();
            let read = Packed::read(packed(&messages).into()).unwrap();
            assert_eq!(read.len(), n);
            assert!(read.iter().eq(messages.iter().map(Vec::as_slice)));
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(read.get(index).unwrap(), message);
            }
            assert_eq!(read.get(n), None);
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let whole = packed(&[b"one".to_vec(), vec![7; 300]]);
        for len in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..len]);
            assert!(Packed::read(cut).is_none(), "{len}");
        }
        for other in [&b"\xc0"[..], b"\x91\x07", b"\x91\xc4\x01x", b"text"] {
            assert!(Packed::read(Bytes::from_static(other)).is_none());
        }
    }
}
