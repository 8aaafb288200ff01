//! The messages in an answer of the script `take`: in one piece, as MessagePack, which Redis's Lua can write.
//!
//! An answer of many small strings costs the server more to write, and the client more to read and keep, than all other
//! steps of a fast message. Large messages come as separate strings, so that no side holds them twice.

use std::ops::Range;
use std::sync::Arc;

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use bytes::Bytes;

use crate::source::arena::Pieces;

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    Packed(Packed),
    Each(Arc<[Bytes]>),
}

/// Messages in one piece, and their ranges in it.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    piece: Bytes,
    places: Arc<[Range<usize>]>,
}

/// Messages, one after the other.
pub(super) type Messages = Box<dyn ExactSizeIterator<Item = Bytes> + Send>;

impl Stored {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.places.len(),
            Self::Each(all) => all.len(),
        }
    }

    /// The messages, each copied out when it is taken from the iterator. None of them keeps the piece alive.
    pub(super) fn messages(&self) -> Messages {
        match self.clone() {
            Self::Packed(Packed { piece, places }) => {
                let mut pieces = Pieces::for_bytes(piece.len());
                let message = move |index: usize| pieces.keep(&piece[places[index].clone()]);
                Box::new((0..self.len()).map(message))
            }
            Self::Each(all) => Box::new((0..self.len()).map(move |index| all[index].clone())),
        }
    }

    /// The message at this place, 0 for the first; none beyond the last one.
    pub(super) fn get(&self, index: usize) -> Option<Bytes> {
        match self {
            Self::Packed(packed) => {
                let place = packed.places.get(index)?.clone();
                Some(Bytes::copy_from_slice(&packed.piece[place]))
            }
            Self::Each(all) => all.get(index).cloned(),
        }
    }
}

impl Packed {
    /// None: it is no list of strings and nothing else.
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
        rest.is_empty().then_some(Self { piece, places })
    }
}

impl FromRedisValue for Stored {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        if let Value::Array(_) = value {
            let all: Vec<Bytes> = from_redis_value(value)?;
            return Ok(Self::Each(all.into()));
        }
        let packed = Packed::read(from_redis_value(value)?);
        packed
            .map(Self::Packed)
            .ok_or_else(|| "what the script `take` packed is no list of strings".into())
    }
}

#[cfg(test)]
impl<T: Into<Bytes>> FromIterator<T> for Stored {
    fn from_iter<I: IntoIterator<Item = T>>(messages: I) -> Self {
        Self::Each(messages.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Lua packs them: bytes are strings.
    fn packed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut packed = Vec::new();
        let n = u32::try_from(messages.len()).unwrap();
        rmp::encode::write_array_len(&mut packed, n).unwrap();
        for message in messages {
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
            let read = Stored::Packed(Packed::read(packed(&messages).into()).unwrap());
            assert_eq!(read.len(), n);
            assert!(read.messages().eq(messages.iter().cloned()));
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
        let others = [
            &b"\xc0"[..],
            b"\x91\x07",
            b"\x91\xc4\x01x",
            b"\x91\xa1xy",
            b"text",
        ];
        for other in others {
            assert!(Packed::read(Bytes::from_static(other)).is_none());
        }
    }
}
