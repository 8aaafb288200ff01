//! The queue of one partition inside librdkafka.

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::ClientContext as _;
use rdkafka::bindings::{
    rd_kafka_consume_callback, rd_kafka_message_t, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_yield,
};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::claim::{Drawn, Tap};
use super::context::Context;
use super::record::Record;
use crate::source::pieces::Pieces;

/// Split off the client's main queue, and drawn from by librdkafka's own function for many: rdkafka's way takes the
/// queue's lock twice and looks at the clock twice for each record, and keeps each in memory of its own.
pub(super) struct QueueTap {
    topic: Topic,
    partition: i32,
    /// Holds the callback.
    _split: PartitionQueue<Context>,
    consumer: Arc<BaseConsumer<Context>>,
    filled: Arc<AtomicBool>,
    /// Of payloads and keys.
    pieces: Pieces,
}

/// A handle of our own on the topic.
struct Topic(NonNull<rd_kafka_topic_t>);

// SAFETY: librdkafka's topics may be used by any thread.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it was given to us once, and is not used any more.
        unsafe { rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// Where librdkafka puts what it has.
struct Sink<'a> {
    client: *mut rd_kafka_t,
    context: &'a Context,
    pieces: &'a mut Pieces,
    drawn: &'a mut Drawn,
}

/// Called for each that the queue has. `sink` is a [`Sink`].
unsafe extern "C" fn put(message: *mut rd_kafka_message_t, sink: *mut c_void) {
    // SAFETY: `serve` handed it over, and waits for the last call. The message lives as long as this one.
    let (sink, of) = unsafe { (&mut *sink.cast::<Sink<'_>>(), &*message) };
    match of.err {
        // SAFETY: it lives, and is no error.
        rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
            sink.drawn
                .record(unsafe { Record::copy(message, sink.pieces) });
        }
        rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => sink.drawn.end(),
        code => {
            let reason = match of.payload.is_null() {
                true => &[][..],
                // SAFETY: the text has so many bytes.
                false => unsafe { slice::from_raw_parts(of.payload.cast(), of.len) },
            };
            let reason = String::from_utf8_lossy(reason);
            let cause = KafkaError::Global(code.into());
            sink.context.error(cause, reason.trim());
        }
    }
    if sink.drawn.is_full() {
        // SAFETY: the client lives. What it has not called for goes back to its place.
        unsafe { rd_kafka_yield(sink.client) };
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
        let topic = unsafe {
            let client = consumer.client().native_ptr();
            rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut())
        };
        let topic = Topic(NonNull::new(topic)?);
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
            topic,
            partition,
            _split: split,
            consumer: Arc::clone(consumer),
            filled,
            pieces: Pieces::new(),
        })
    }

    /// Answers whether anything was there, a record or not.
    ///
    /// librdkafka's way to take many without a callback takes the end of a partition for a record, and goes on behind it
    /// when the partition returns, one record too far.
    fn serve(&mut self, drawn: &mut Drawn) -> bool {
        let client = self.consumer.client().native_ptr();
        let mut sink = Sink {
            client,
            context: self.consumer.context(),
            pieces: &mut self.pieces,
            drawn,
        };
        // SAFETY: the topic and what the callback is handed live until it returns, and it waits for nothing.
        let served = unsafe {
            let sink = ptr::from_mut(&mut sink).cast();
            rd_kafka_consume_callback(self.topic.0.as_ptr(), self.partition, 0, Some(put), sink)
        };
        served > 0
    }
}

impl Tap for QueueTap {
    fn draw(&mut self, into: &mut Drawn) {
        while !into.is_full() {
            if self.serve(into) {
                continue;
            }
            // Once more after the flag is down: what came in between has raised it in vain.
            self.filled.store(false, Ordering::Release);
            if !self.serve(into) {
                return;
            }
            self.filled.store(true, Ordering::Release);
        }
    }

    fn filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }
}
