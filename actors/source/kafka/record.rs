//! A record, detached from librdkafka's memory.

use std::ffi::CStr;
use std::{ptr, slice};

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_message_headers,
    rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
};
use rdkafka::message::BorrowedMessage;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    pub(super) payload: Bytes,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Vec<(String, Bytes)>,
    /// As the producer or the broker stamped it, unix milliseconds.
    pub(super) timestamp_ms: Option<i64>,
}

impl Record {
    pub(super) fn copy(message: &BorrowedMessage<'_>) -> Self {
        Self {
            offset: message.offset(),
            // A tombstone has none.
            payload: message
                .payload()
                .map(Bytes::copy_from_slice)
                .unwrap_or_default(),
            key: message.key().map(Bytes::copy_from_slice),
            headers: headers(message),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

/// rdkafka's own way panics where a name is no UTF-8: a record that any producer can write would end the fetching.
fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    let mut native = ptr::null_mut();
    // SAFETY: the message lives as long as `message`; it owns the headers that it answers.
    let found = unsafe { rd_kafka_message_headers(message.ptr(), &raw mut native) };
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
            // SAFETY: as above; it has so many bytes.
            false => Bytes::copy_from_slice(unsafe { slice::from_raw_parts(value.cast(), size) }),
        };
        all.push((name.to_string_lossy().into_owned(), value));
    }
}
