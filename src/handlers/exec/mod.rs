//! Consumers of queues. The names they are registered under stand in `etc/queue_*.json`.

mod greet;

pub use greet::greet;
