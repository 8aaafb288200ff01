//! A record, detached from librdkafka's memory.

use std::ffi::{CStr, c_void};
use std::ops::Deref;
use std::sync::Arc;
use std::{ptr, slice};

use bytes::Bytes;
use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_leader_epoch,
    rd_kafka_message_t, rd_kafka_message_timestamp,
    rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, rd_kafka_timestamp_type_t,
};

use crate::source::arena::Pieces;

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) offset: i64,
    /// The epoch of the leader that wrote it. None: the record's format has no epochs.
    pub(super) epoch: Option<i32>,
    pub(super) payload: Bytes,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Vec<(String, Bytes)>,
    /// The timestamp of the producer or the broker, unix milliseconds.
    pub(super) timestamp_ms: Option<i64>,
}

impl Record {
    /// The bytes of payload, key and headers.
    pub(super) fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.payload.len() + self.key.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// A record of one poll. The records of a poll share one allocation, which is freed with the last of them: both the
/// partition and the consumer that runs a record keep it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) offset: i64,
    index: usize,
    polled: Arc<Vec<Record>>,
}

impl Kept {
    pub(super) fn all(mut polled: Vec<Record>) -> impl Iterator<Item = Self> {
        // Some records may be kept for long.
        polled.shrink_to_fit();
        let polled = Arc::new(polled);
        (0..polled.len()).map(move |index| Self {
            offset: polled[index].offset,
            index,
            polled: Arc::clone(&polled),
        })
    }

    pub(super) fn alone(record: Record) -> Self {
        Self {
            offset: record.offset,
            index: 0,
            polled: Arc::new(vec![record]),
        }
    }

    /// A clone that does not keep the records that were polled with it: for one that stays longer than they do.
    pub(super) fn unshared_clone(&self) -> Self {
        Self::alone(Record::clone(self))
    }
}

impl Deref for Kept {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.polled[self.index]
    }
}

impl Record {
    /// # Safety
    ///
    /// It must be a message that lives, and no error.
    pub(super) unsafe fn copy(message: *mut rd_kafka_message_t, pieces: &mut Pieces) -> Self {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the caller guarantees it; the place for the kind is valid.
        let (of, epoch, timestamp_ms) = unsafe {
            (
                &*message,
                rd_kafka_message_leader_epoch(message),
                rd_kafka_message_timestamp(message, &raw mut kind),
            )
        };
        let mut keep = |start: *const c_void, len: usize| {
            // SAFETY: the length is librdkafka's own.
            let bytes =
                (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), len) })?;
            Some(pieces.keep(bytes))
        };
        let known = kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        Self {
            offset: of.offset,
            epoch: (epoch >= 0).then_some(epoch),
            // A tombstone has none.
            payload: keep(of.payload, of.len).unwrap_or_default(),
            key: keep(of.key, of.key_len),
            // SAFETY: as above.
            headers: unsafe { headers(message) },
            timestamp_ms: (known && timestamp_ms >= 0).then_some(timestamp_ms),
        }
    }
}

/// rdkafka's own way panics where a name is no UTF-8: a record that any producer can write would end the fetching.
///
/// # Safety
///
/// It must be a message that lives.
unsafe fn headers(message: *mut rd_kafka_message_t) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    let mut native = ptr::null_mut();
    // SAFETY: the message owns the headers that it answers.
    let found = unsafe { rd_kafka_message_headers(message, &raw mut native) };
    if found != RD_KAFKA_RESP_ERR_NO_ERROR || native.is_null() {
        return all;
    }
    loop {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: an index past the end is an answer, no fault; the three places are valid.
        let found = unsafe {
            rd_kafka_header_get_all(
                native,
                all.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            )
        };
        if found != RD_KAFKA_RESP_ERR_NO_ERROR {
            return all;
        }
        // SAFETY: librdkafka ends names with a NUL, and keeps both while the message lives.
        let name = unsafe { CStr::from_ptr(name) };
        let value = match value.is_null() {
            true => Bytes::new(),
            // SAFETY: as above; it has `size` bytes.
            false => Bytes::copy_from_slice(unsafe { slice::from_raw_parts(value.cast(), size) }),
        };
        all.push((name.to_string_lossy().into_owned(), value));
    }
}
