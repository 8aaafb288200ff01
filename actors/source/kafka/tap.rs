//! The queue of one partition inside librdkafka.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use rdkafka::ClientContext as _;
use rdkafka::bindings::{
    rd_kafka_consume_queue, rd_kafka_message_destroy, rd_kafka_message_errstr, rd_kafka_message_t,
    rd_kafka_queue_destroy, rd_kafka_queue_get_partition, rd_kafka_queue_t, rd_kafka_resp_err_t,
};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::context::Context;
use super::lane::{Pulled, Tap};
use super::record::Record;

/// Split off the client's main queue, and read by librdkafka's own function: rdkafka's way there makes an event of each
/// record, which costs as much as the record.
pub(super) struct QueueTap {
    native: NativeQueue,
    /// Holds the callback.
    _split: PartitionQueue<Context>,
    consumer: Arc<BaseConsumer<Context>>,
    filled: Arc<AtomicBool>,
    /// For small payloads.
    room: BytesMut,
}

/// A handle of our own on the queue.
struct NativeQueue(NonNull<rd_kafka_queue_t>);

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for NativeQueue {}

impl Drop for NativeQueue {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, and is not used any more.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// A message of librdkafka's.
struct Native(NonNull<rd_kafka_message_t>);

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, and is not used any more.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

impl QueueTap {
    /// `news` is told when the queue is filled. None: librdkafka gives no queue.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Context>>,
        (topic, partition): (&str, i32),
        news: Arc<Notify>,
    ) -> Option<Self> {
        let mut split = consumer.split_partition_queue(topic, partition)?;
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client lives, and the name ends with a NUL.
        let native = unsafe {
            let client = consumer.client().native_ptr();
            rd_kafka_queue_get_partition(client, topic.as_ptr(), partition)
        };
        let native = NativeQueue(NonNull::new(native)?);
        // Something may have come before the callback was set.
        let filled = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&filled);
        // Called by a thread of librdkafka that holds the queue's lock: it must not wait for the board, whose holder may
        // be waiting for that lock.
        split.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            news.notify_one();
        });
        Some(Self {
            native,
            _split: split,
            consumer: Arc::clone(consumer),
            filled,
            room: BytesMut::new(),
        })
    }

    /// None: nothing is there.
    ///
    /// One at a time. librdkafka's way to take many takes the end of a partition for a record, and goes on behind it when
    /// the partition returns, one record too far.
    fn poll(&mut self) -> Option<Pulled> {
        loop {
            // SAFETY: the queue lives as long as this, and does not outlive its client.
            let message = unsafe { rd_kafka_consume_queue(self.native.0.as_ptr(), 0) };
            let message = Native(NonNull::new(message)?);
            // SAFETY: it lives.
            let error = unsafe { message.0.as_ref() }.err;
            return match error {
                // SAFETY: it lives, and is no error.
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Some(Pulled::Record(unsafe {
                    Record::copy(message.0.as_ptr(), &mut self.room)
                })),
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Some(Pulled::End),
                // A record may stand behind it, and nobody would ring for that.
                error => {
                    // SAFETY: the text lives as long as the message.
                    let reason =
                        unsafe { CStr::from_ptr(rd_kafka_message_errstr(message.0.as_ptr())) };
                    let context = self.consumer.context();
                    context.error(KafkaError::Global(error.into()), &reason.to_string_lossy());
                    continue;
                }
            };
        }
    }
}

impl Tap for QueueTap {
    fn pull(&mut self) -> Pulled {
        if let Some(pulled) = self.poll() {
            return pulled;
        }
        // Once more after the flag is down: what came in between has raised it in vain.
        self.filled.store(false, Ordering::Release);
        let Some(pulled) = self.poll() else {
            return Pulled::Nothing;
        };
        self.filled.store(true, Ordering::Release);
        pulled
    }

    fn filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }
}
