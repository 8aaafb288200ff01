//! The queue of one partition inside librdkafka.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use rdkafka::ClientContext as _;
use rdkafka::bindings::{
    RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_FETCH, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_event_error_string, rd_kafka_event_message_next, rd_kafka_event_t,
    rd_kafka_event_type, rd_kafka_queue_destroy, rd_kafka_queue_get_partition, rd_kafka_queue_poll,
    rd_kafka_queue_t, rd_kafka_resp_err_t,
};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::context::Context;
use super::lane::{Pulled, Tap};
use super::record::Record;

/// Split off the client's main queue, and read by librdkafka's own functions: rdkafka's way looks at the clock for each
/// record, and keeps its event in memory of its own.
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

/// What the queue holds: a record or an error.
struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, and is not used any more.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
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
    /// the partition returns, one record too far. Its way to take one without an event keeps some errors to itself.
    fn poll(&mut self) -> Option<Pulled> {
        loop {
            // SAFETY: the queue lives as long as this, and does not outlive its client.
            let event = unsafe { rd_kafka_queue_poll(self.native.0.as_ptr(), 0) };
            let event = Event(NonNull::new(event)?);
            // SAFETY: it lives.
            let kind = unsafe { rd_kafka_event_type(event.0.as_ptr()) };
            let pulled = match kind {
                RD_KAFKA_EVENT_FETCH => self.record(&event),
                RD_KAFKA_EVENT_ERROR => self.error(&event),
                _ => None,
            };
            // Behind what is none a record may stand, and nobody would ring for that.
            if pulled.is_some() {
                return pulled;
            }
        }
    }

    fn record(&mut self, event: &Event) -> Option<Pulled> {
        // SAFETY: the message lives as long as its event, and is no error.
        let record = unsafe {
            let message = NonNull::new(rd_kafka_event_message_next(event.0.as_ptr()).cast_mut())?;
            Record::copy(message.as_ptr(), &mut self.room)
        };
        Some(Pulled::Record(record))
    }

    /// The context hears of it, unless it is the end of the partition.
    fn error(&self, event: &Event) -> Option<Pulled> {
        // SAFETY: it lives, and the text as long as it does.
        let (code, reason) = unsafe {
            let event = event.0.as_ptr();
            (
                rd_kafka_event_error(event),
                CStr::from_ptr(rd_kafka_event_error_string(event)),
            )
        };
        if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return Some(Pulled::End);
        }
        let context = self.consumer.context();
        context.error(
            KafkaError::Global(code.into()),
            reason.to_string_lossy().trim(),
        );
        None
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
