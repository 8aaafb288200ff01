//! The queue of one partition inside librdkafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::context::Context;
use super::lane::{Pulled, Tap};
use super::record::Record;

pub(super) struct QueueTap {
    queue: PartitionQueue<Context>,
    filled: Arc<AtomicBool>,
    /// For small payloads.
    room: BytesMut,
}

impl QueueTap {
    /// `news` is told when the queue is filled.
    pub(super) fn new(mut queue: PartitionQueue<Context>, news: Arc<Notify>) -> Self {
        // Something may have come before the callback was set.
        let filled = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&filled);
        // Called by a thread of librdkafka that holds the queue's lock: it must not wait for the board, whose holder may
        // be waiting for that lock.
        queue.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            news.notify_one();
        });
        Self {
            queue,
            filled,
            room: BytesMut::new(),
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

impl QueueTap {
    /// None: nothing is there.
    ///
    /// Not librdkafka's way to take many at once: it takes the end of a partition for a record, and goes on behind it when
    /// the partition returns, one record too far.
    fn poll(&mut self) -> Option<Pulled> {
        loop {
            return match self.queue.poll(Duration::ZERO)? {
                // SAFETY: it lives as long as `message`, and is no error.
                Ok(message) => Some(Pulled::Record(unsafe {
                    Record::copy(message.ptr(), &mut self.room)
                })),
                Err(KafkaError::PartitionEOF(_)) => Some(Pulled::End),
                // The context was told. A record may stand behind it, and nobody would ring for that.
                Err(_) => continue,
            };
        }
    }
}
