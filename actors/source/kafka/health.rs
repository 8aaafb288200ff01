//! What is wrong with the brokers, the topic or the group: two log lines for each time it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::outage::Outage;

pub(super) struct Health {
    queue: String,
    state: Mutex<State>,
}

struct State {
    brokers: Outage,
    /// No broker answers.
    away: bool,
    /// What librdkafka said last of one connection: mostly the cause.
    last_reason: String,
    place: Outage,
    /// Something keeps the group from giving us partitions.
    held_up: Option<Problem>,
}

/// What keeps partitions from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The topic is not there, or not for us: that it has come is seen in the cluster's metadata.
    Topic,
    /// The group does not take us: that it does is seen when it shares out partitions.
    Group,
}

impl Health {
    /// `place`: the topic and the group, for people.
    pub(super) fn new(queue: &str, cluster: &str, place: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            state: Mutex::new(State {
                brokers: Outage::new(format!("queue `{queue}`: Kafka `{cluster}`")),
                away: false,
                last_reason: String::new(),
                place: Outage::new(format!("queue `{queue}`: {place}")),
                held_up: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// librdkafka reports an error; it goes on by itself unless it says that it does not.
    pub(super) fn told(&self, code: Code, reason: &str) {
        match code {
            Code::PartitionEOF => {}
            Code::AllBrokersDown => self.no_broker(),
            Code::BrokerTransportFailure | Code::Resolve | Code::SSL | Code::Authentication => {
                log::debug!("queue `{}`: {reason}", self.queue);
                reason.clone_into(&mut self.lock().last_reason);
            }
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => self.hold_up(
                Problem::Topic,
                "the cluster has no such topic, or does not show it to us; it is consumed as soon as it is there",
            ),
            Code::TopicAuthorizationFailed => self.hold_up(
                Problem::Topic,
                "the cluster does not let us read it; the right `READ` on the topic would help",
            ),
            Code::GroupAuthorizationFailed => self.hold_up(
                Problem::Group,
                "the cluster does not let us into the group; the right `READ` on the group would help",
            ),
            Code::InconsistentGroupProtocol => self.hold_up(
                Problem::Group,
                "the group's other members share out partitions by another strategy; `\"partition.assignment.strategy\": \"range,roundrobin\"` in the cluster's `properties` is what kafka-go's members take",
            ),
            _ => log::warn!("queue `{}`: {reason}", self.queue),
        }
    }

    fn no_broker(&self) {
        let mut state = self.lock();
        state.away = true;
        let reason = match state.last_reason.is_empty() {
            true => "no broker answers".to_owned(),
            false => format!("no broker answers; {}", state.last_reason),
        };
        // How long to wait is librdkafka's business.
        let _ = state.brokers.failed(reason);
    }

    fn hold_up(&self, problem: Problem, why: &str) {
        let mut state = self.lock();
        state.held_up = Some(problem);
        let _ = state.place.failed(why);
    }

    /// The member itself cannot be, and is made anew.
    pub(super) fn broken(&self, why: &str) -> std::time::Duration {
        let mut state = self.lock();
        state.held_up = Some(Problem::Group);
        state.place.failed(why)
    }

    pub(super) fn is_away(&self) -> bool {
        self.lock().away
    }

    pub(super) fn held_up(&self) -> Option<Problem> {
        self.lock().held_up
    }

    /// A broker answered.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        state.away = false;
        state.last_reason.clear();
        state.brokers.passed();
    }

    /// The topic is there.
    pub(super) fn found_topic(&self) {
        self.well(|problem| problem == Problem::Topic);
    }

    /// The group shared out partitions.
    pub(super) fn shared_out(&self, any_is_ours: bool) {
        self.well(|problem| any_is_ours || problem == Problem::Group);
    }

    fn well(&self, of: impl Fn(Problem) -> bool) {
        let mut state = self.lock();
        if state.held_up.is_some_and(of) {
            state.held_up = None;
            state.place.passed();
        }
    }
}
