//! Kafka queues, with a real broker.

mod growing;
mod losses;
mod outage;
mod pairs;
mod place;
mod poison;
mod speed;
mod strangers;
