//! Kafka queues, with a real broker.

mod cut_log;
mod growing;
mod losses;
mod outage;
mod pairs;
mod place;
mod poison;
mod rebalances;
mod refused;
mod reload;
mod secured;
mod silent_group;
mod speed;
mod strangers;
mod unpositioned;
