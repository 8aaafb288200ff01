//! The queue of one partition inside librdkafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::context::Context;
use super::lane::{Pulled, Tap};
use super::record::Record;

pub(super) struct QueueTap {
    queue: PartitionQueue<Context>,
    filled: Arc<AtomicBool>,
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
        Self { queue, filled }
    }
}

impl Tap for QueueTap {
    fn pull(&mut self) -> Pulled {
        // Once more after the flag is down: what came in between has raised it in vain. `None` may also mean that
        // something else than a record was taken care of.
        for _ in 0..2 {
            match self.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    self.filled.store(true, Ordering::Release);
                    return Pulled::Record(Record::copy(&message));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.filled.store(true, Ordering::Release);
                    return Pulled::End;
                }
                // The context was told.
                Some(Err(_)) | None => self.filled.store(false, Ordering::Release),
            }
        }
        Pulled::Nothing
    }

    fn filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }
}
