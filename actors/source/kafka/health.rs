//! What is wrong with the brokers, the topic or the group: two log lines for each time it is.
//!
//! That no broker answers is believed once questions of our own go unanswered. librdkafka's word alone is news of a moment
//! that may be over: it stands in a queue, and is read after the answer of a broker that has come back since.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::outage::Outage;

/// Unanswered questions that confirm what librdkafka said. The first one may have met a connection that was already broken.
const CONFIRMING: u32 = 2;

pub(super) struct Health {
    queue: String,
    state: Mutex<State>,
}

struct State {
    outage: Outage,
    brokers: Brokers,
    /// What librdkafka said last of one connection: mostly the cause.
    last_reason: String,
    place: Outage,
    /// Something keeps the group from giving us partitions.
    held_up: Option<Problem>,
}

/// What is known of all brokers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brokers {
    Answer,
    /// librdkafka said that none does; so many questions since then were not answered.
    InDoubt {
        unanswered: u32,
    },
    Away,
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
                outage: Outage::new(format!("queue `{queue}`: Kafka `{cluster}`")),
                brokers: Brokers::Answer,
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
        if state.brokers == Brokers::Answer {
            state.brokers = Brokers::InDoubt { unanswered: 0 };
        }
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

    pub(super) fn brokers(&self) -> Brokers {
        self.lock().brokers
    }

    pub(super) fn held_up(&self) -> Option<Problem> {
        self.lock().held_up
    }

    /// A broker answered a question that was asked after all that it was doubted for: a later outage is told anew.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        state.brokers = Brokers::Answer;
        state.last_reason.clear();
        state.outage.passed();
    }

    /// A question was not answered.
    pub(super) fn unanswered(&self) {
        let mut state = self.lock();
        let Brokers::InDoubt { unanswered } = state.brokers else {
            return;
        };
        let unanswered = unanswered + 1;
        if unanswered < CONFIRMING {
            state.brokers = Brokers::InDoubt { unanswered };
            return;
        }
        state.brokers = Brokers::Away;
        let reason = match state.last_reason.is_empty() {
            true => "no broker answers".to_owned(),
            false => format!("no broker answers; {}", state.last_reason),
        };
        // How long to wait is librdkafka's business.
        let _ = state.outage.failed(reason);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new("orders", "default", "topic `t` for group `g`")
    }

    fn told_none_answers(health: &Health) {
        health.told(Code::AllBrokersDown, "1/1 brokers are down");
    }

    #[test]
    fn an_outage_that_was_told_late_and_is_over_is_none() {
        let health = health();
        health.answered();
        told_none_answers(&health);
        assert_eq!(health.brokers(), Brokers::InDoubt { unanswered: 0 });
        health.answered();
        assert_eq!(health.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_question_that_met_a_broken_connection_is_no_outage() {
        let health = health();
        told_none_answers(&health);
        health.unanswered();
        assert_eq!(health.brokers(), Brokers::InDoubt { unanswered: 1 });
        // Told once more meanwhile: what was asked still counts.
        told_none_answers(&health);
        assert_eq!(health.brokers(), Brokers::InDoubt { unanswered: 1 });
        health.answered();
        health.unanswered();
        assert_eq!(health.brokers(), Brokers::Answer);
    }

    #[test]
    fn an_outage_is_believed_when_questions_go_unanswered_and_over_when_one_is_answered() {
        let health = health();
        for _ in 0..2 {
            told_none_answers(&health);
            health.unanswered();
            health.unanswered();
            assert_eq!(health.brokers(), Brokers::Away);
            // Neither is news.
            told_none_answers(&health);
            health.unanswered();
            assert_eq!(health.brokers(), Brokers::Away);
            health.answered();
            assert_eq!(health.brokers(), Brokers::Answer);
        }
    }
}
