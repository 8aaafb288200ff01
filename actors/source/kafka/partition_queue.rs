//! The queue of one partition inside librdkafka.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::bindings::{
    RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_FETCH, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_event_error_string, rd_kafka_event_message_next, rd_kafka_event_t,
    rd_kafka_event_topic_partition, rd_kafka_event_type, rd_kafka_queue_destroy,
    rd_kafka_queue_get_partition, rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_resp_err_t,
    rd_kafka_topic_partition_destroy,
};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::callbacks::Context;
use super::drain::{Polled, RecordQueue};
use super::record::Record;
use crate::source::arena::Pieces;

/// The queue is split off the client's main queue, and read by librdkafka's own functions: those of rdkafka read the clock
/// once more for each record, and allocate each event.
pub(super) struct RdkafkaRecordQueue {
    native: NativeQueue,
    /// Holds the callback.
    _split: PartitionQueue<Context>,
    consumer: Arc<BaseConsumer<Context>>,
    filled: Arc<AtomicBool>,
    /// The memory of payloads and keys.
    pieces: Pieces,
    /// The last event was the error that the partition may not be read.
    unreadable: bool,
    partition: i32,
    /// A record or an end has come.
    came: bool,
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

/// An element of the queue: a record or an error.
struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, and is not used any more.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

impl RdkafkaRecordQueue {
    /// `news` is notified when the queue is filled. None: librdkafka gives no queue.
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
        // A record may have come before the callback was set.
        let filled = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&filled);
        // Called by a thread of librdkafka that holds the queue's lock: it must not wait for the assignments, whose holder may
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
            pieces: Pieces::new(),
            unreadable: false,
            partition,
            came: false,
        })
    }

    /// Takes the next event, a record or an error. Returns whether there was one.
    ///
    /// One at a time, as librdkafka's functions for many records lose some. The one with a callback gets marks of
    /// transactions that were fetched before a rebalance, and goes on behind them, although the records before them are
    /// never delivered. The other one counts the end of a partition as a record, and goes on one record too far. The
    /// function for one record without an event hides some errors.
    fn take(&mut self, polled: &mut Polled) -> bool {
        // SAFETY: the queue lives as long as this, and does not outlive its client.
        let event = unsafe { rd_kafka_queue_poll(self.native.0.as_ptr(), 0) };
        let Some(event) = NonNull::new(event).map(Event) else {
            return false;
        };
        // SAFETY: it lives.
        match unsafe { rd_kafka_event_type(event.0.as_ptr()) } {
            RD_KAFKA_EVENT_FETCH => self.record(&event, polled),
            RD_KAFKA_EVENT_ERROR => self.error(&event, polled),
            _ => {}
        }
        true
    }

    fn record(&mut self, event: &Event, polled: &mut Polled) {
        // SAFETY: the message lives as long as its event, and is no error.
        unsafe {
            let message = rd_kafka_event_message_next(event.0.as_ptr()).cast_mut();
            if !message.is_null() {
                polled.record(Record::copy(message, &mut self.pieces));
            }
        }
        self.set_unreadable(false);
        self.note_came();
    }

    /// The partition has a position in its log.
    fn note_came(&mut self) {
        if !std::mem::replace(&mut self.came, true) {
            let shared = &self.consumer.context().shared;
            shared.stand_at_most(|partition| partition != self.partition);
        }
    }

    /// The partition may not be read. librdkafka reports that once, behind the records that had come before.
    fn set_unreadable(&mut self, unreadable: bool) {
        if std::mem::replace(&mut self.unreadable, unreadable) != unreadable {
            let health = &self.consumer.context().shared.health;
            match unreadable {
                true => health.unreadable(),
                false => health.readable(),
            }
        }
    }

    /// The end of the partition, or the reason why no records come.
    fn error(&mut self, event: &Event, polled: &mut Polled) {
        // SAFETY: it lives, and the text as long as it does.
        let (code, reason) = unsafe {
            let event = event.0.as_ptr();
            (
                rd_kafka_event_error(event),
                CStr::from_ptr(rd_kafka_event_error_string(event)),
            )
        };
        if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            // SAFETY: it lives; the returned object is ours to destroy.
            let offset = unsafe {
                let place = rd_kafka_event_topic_partition(event.0.as_ptr());
                let offset = place.as_ref().map_or(0, |place| place.offset);
                if !place.is_null() {
                    rd_kafka_topic_partition_destroy(place);
                }
                offset
            };
            self.set_unreadable(false);
            self.note_came();
            return polled.end(offset);
        }
        match code.into() {
            Code::TopicAuthorizationFailed => self.set_unreadable(true),
            Code::AutoOffsetReset => {
                self.came = false;
                self.consumer.context().shared.stands(self.partition);
            }
            code => {
                let health = &self.consumer.context().shared.health;
                health.reported(code, reason.to_string_lossy().trim());
            }
        }
    }
}

impl Drop for RdkafkaRecordQueue {
    fn drop(&mut self) {
        self.set_unreadable(false);
    }
}

impl RecordQueue for RdkafkaRecordQueue {
    fn poll(&mut self, into: &mut Polled) {
        self.drain(into);
    }

    fn filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }
}

impl RdkafkaRecordQueue {
    fn drain(&mut self, into: &mut Polled) {
        while !into.is_full() {
            if self.take(into) {
                continue;
            }
            // Once more after the flag is cleared: a record that came in between has set it too early.
            self.filled.store(false, Ordering::Release);
            if !self.take(into) {
                return;
            }
            self.filled.store(true, Ordering::Release);
        }
    }
}
