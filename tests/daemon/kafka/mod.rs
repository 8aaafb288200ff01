//! Kafka queues, with a real broker.

mod losses;
mod place;
