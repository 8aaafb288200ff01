//! Memory of payloads. Small payloads share allocations, which saves most of their cost.

use bytes::{Bytes, BytesMut};

/// The largest payload that shares an allocation, in bytes.
const SMALL: usize = 1024;
/// Bytes of one allocation. A payload that is kept keeps its allocation: a few pages of memory.
const PIECE: usize = 16 * 1024;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The free rest of the last allocation.
    room: BytesMut,
    /// The size of the next allocation.
    size: usize,
}

impl Pieces {
    /// For any number of payloads.
    pub(super) fn new() -> Self {
        Self::for_bytes(PIECE)
    }

    /// For payloads of this many bytes together.
    pub(super) fn for_bytes(all: usize) -> Self {
        Self {
            room: BytesMut::new(),
            size: all.min(PIECE),
        }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > SMALL {
            return Bytes::copy_from_slice(bytes);
        }
        if self.room.capacity() < bytes.len() {
            self.room = BytesMut::with_capacity(self.size.max(bytes.len()));
        }
        self.room.extend_from_slice(bytes);
        self.room.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_given_whatever_its_size() {
        let mut pieces = Pieces::new();
        let given: Vec<Vec<u8>> = (0..3000)
            .map(|n| vec![n.to_string().as_bytes()[0]; n])
            .collect();
        let kept: Vec<Bytes> = given.iter().map(|bytes| pieces.keep(bytes)).collect();
        assert_eq!(kept, given);
    }

    #[test]
    fn small_ones_share_a_piece_and_large_ones_do_not() {
        let mut pieces = Pieces::for_bytes(100);
        let kept = [40, 60].map(|n| pieces.keep(&vec![7; n]));
        assert_eq!(kept[1].as_ptr(), kept[0][..].as_ptr_range().end);
        assert!(pieces.room.capacity() == 0, "no more than was asked for");
        let large = pieces.keep(&[7; SMALL + 1]);
        assert!(large.is_unique());
    }
}
