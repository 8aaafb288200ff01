//! Problems of the brokers, the topic or the group: two log lines for each.

mod brokers;
mod commits;
mod place;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode as Code;

use self::brokers::Answers;
pub(super) use self::brokers::Brokers;
use self::commits::Commits;
use self::place::Place;
pub(super) use self::place::Problem;
use super::probe::{Lack, Reached};
use super::remedy::of_group;

/// Time after which an error that hinders nothing is logged again.
const WARN_INTERVAL: Duration = Duration::from_secs(600);

pub(super) struct Health {
    queue: String,
    /// No two of these locks are held at a time.
    answers: Mutex<Answers>,
    place: Mutex<Place>,
    commits: Mutex<Commits>,
    warned: Mutex<Option<(Code, Instant)>>,
    /// The number of assigned partitions that may not be read.
    unreadable: AtomicUsize,
}

impl Health {
    /// `place`: the topic and the group, for people.
    pub(super) fn new(queue: &str, cluster: &str, place: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            answers: Mutex::new(Answers::of(queue, cluster)),
            place: Mutex::new(Place::of(queue, place)),
            commits: Mutex::new(Commits::of(queue)),
            warned: Mutex::default(),
            unreadable: AtomicUsize::new(0),
        }
    }

    /// librdkafka reports an error. It goes on by itself unless the error is fatal.
    pub(super) fn reported(&self, code: Code, reason: &str) {
        match code {
            // The member cannot go on; `broken` holds the reason.
            Code::PartitionEOF | Code::Fatal => {}
            Code::AllBrokersDown => self.answers.lock().down_reported(),
            Code::BrokerTransportFailure | Code::Resolve | Code::SSL | Code::Authentication => {
                log::debug!("queue `{}`: {reason}", self.queue);
                self.answers.lock().connection_failed(reason);
            }
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => self.hold_up(
                Problem::Topic,
                "the cluster has no such topic, or does not show it to us; it is consumed as soon as it is there",
            ),
            Code::TopicAuthorizationFailed => self.hold_up(
                Problem::Topic,
                "the cluster does not show it to us; the right `READ` on the topic would help",
            ),
            // No list of codes is complete: any error while the group assigns no partition counts as the reason.
            code if self.place.lock().waits() => self.hold_up(Problem::Group, &of_group(code, reason)),
            code => self.warn(code, reason),
        }
    }

    /// A fetch from one more assigned partition is refused.
    pub(super) fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        self.hold_up(Problem::Read, &Lack::TopicRight.to_string());
    }

    /// That partition was read, is at its end, or is no longer assigned.
    pub(super) fn readable(&self) {
        if self.unreadable.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.place.lock().well(|problem| problem == Problem::Read);
        }
    }

    /// Some partition has no position that is in its log, and `auto.offset.reset` is `error`.
    pub(super) fn stands(&self) {
        self.hold_up(
            Problem::Position,
            "a partition has no position in the group that is in its log, and `auto.offset.reset` is `error`: it is consumed a few seconds after the group's position was set, which the brokers' tools do while the group has no members, so stop its other daemons; or set `earliest` or `latest`, and start again",
        );
    }

    pub(super) fn none_stands(&self) {
        self.place
            .lock()
            .well(|problem| problem == Problem::Position);
    }

    /// The beginning of a new group cannot be decided, and until then no records come.
    pub(super) fn does_not_begin(&self, code: Option<Code>, reason: &str) {
        let why = match code {
            Some(Code::TopicAuthorizationFailed) => Lack::TopicRight.to_string(),
            Some(code) => of_group(code, reason),
            None => reason.to_owned(),
        };
        self.hold_up(
            Problem::Group,
            &format!("where its group begins is not known yet: {why}"),
        );
    }

    /// The result of a commit.
    pub(super) fn committed(&self, result: Result<(), String>) {
        let mut commits = self.commits.lock();
        match result {
            Ok(()) => commits.taken(),
            Err(why) => commits.refused(&why),
        }
    }

    /// Whether no problem is known that would explain a query without an answer.
    pub(super) fn is_well(&self) -> bool {
        self.brokers() == Brokers::Answer && self.place.lock().is_well()
    }

    pub(super) fn leader_away(&self, lack: &Lack) {
        self.hold_up(Problem::Leader, &lack.to_string());
    }

    pub(super) fn leaders_answer(&self) {
        self.place.lock().well(|problem| problem == Problem::Leader);
    }

    /// Logs an error that hinders nothing that is known here.
    fn warn(&self, code: Code, reason: &str) {
        let (mut last, now) = (self.warned.lock(), Instant::now());
        let is_news = |(warned, at): (Code, Instant)| warned != code || now - at >= WARN_INTERVAL;
        if last.is_none_or(is_news) {
            *last = Some((code, now));
            log::warn!("queue `{}`: {reason}", self.queue);
        }
    }

    fn hold_up(&self, problem: Problem, why: &str) {
        let _ = self.place.lock().hold_up(problem, why);
    }

    /// The member cannot go on, and is made anew. Returns the pause before that.
    pub(super) fn broken(&self, why: &str) -> Duration {
        self.place.lock().hold_up(Problem::Group, why)
    }

    pub(super) fn brokers(&self) -> Brokers {
        self.answers.lock().brokers()
    }

    pub(super) fn held_up(&self) -> Option<Problem> {
        self.place.lock().held_up()
    }

    /// The present problem persists, as far as is known.
    pub(super) fn remind(&self) {
        self.place.lock().remind();
    }

    /// A broker answered a query of ours.
    pub(super) fn answered(&self) {
        if self.answers.lock().answered() {
            self.place.lock().asks_group_anew();
        }
    }

    /// A query was not answered.
    pub(super) fn unanswered(&self) {
        self.answers.lock().unanswered();
    }

    /// The topic exists.
    pub(super) fn found_topic(&self) {
        self.place.lock().well(|problem| problem == Problem::Topic);
    }

    /// Why no records come although there may be some.
    pub(super) fn hindrance(&self) -> Option<String> {
        if self.answers.lock().brokers() == Brokers::Away {
            return Some("no broker answers".to_owned());
        }
        self.place.lock().hindrance()
    }

    /// The member asks the group for partitions, or has lost all of them.
    pub(super) fn asks_group(&self) {
        self.place.lock().asks_group();
    }

    /// The session ended by itself: the brokers are queried whether they are there.
    pub(super) fn lost_group(&self) {
        self.asks_group();
        self.answers.lock().doubt();
    }

    /// The group assigned its partitions.
    pub(super) fn shared_out(&self, any_is_ours: bool) {
        self.place.lock().shared_out(any_is_ours);
    }

    /// Whether the cluster is to be queried why the group is silent.
    pub(super) fn must_probe(&self, now: Instant) -> bool {
        self.place.lock().must_probe(now)
    }

    /// Takes the result of the probe.
    pub(super) fn probed(&self, found: Result<Reached, Lack>) {
        self.place.lock().probed(found);
    }
}

#[cfg(test)]
mod tests {
    use super::place::{GROUP_PATIENCE, PROBE_INTERVAL};
    use super::*;

    fn health() -> Health {
        Health::new("orders", "default", "topic `t` for group `g`")
    }

    #[test]
    fn what_may_not_be_read_is_over_when_something_is_read_and_not_before() {
        let health = health();
        health.unreadable();
        health.found_topic();
        health.shared_out(true);
        assert_eq!(health.held_up(), Some(Problem::Read));
        health.readable();
        assert_eq!(health.held_up(), None);
    }

    #[test]
    fn an_error_of_no_list_holds_up_a_group_that_has_given_nothing_and_is_over_when_it_does() {
        let health = health();
        health.reported(Code::PolicyViolation, "JoinGroup failed");
        assert_eq!(health.held_up(), None, "nothing is asked of the group");
        health.asks_group();
        health.reported(Code::PolicyViolation, "JoinGroup failed");
        assert_eq!(health.held_up(), Some(Problem::Group));
        health.shared_out(false);
        assert_eq!(health.held_up(), None);
    }

    #[test]
    fn a_silent_group_is_asked_about_once_a_minute_unless_something_explains_it() {
        let health = health();
        let now = Instant::now();
        assert!(!health.must_probe(now + GROUP_PATIENCE * 9));
        health.asks_group();
        let due = Instant::now() + GROUP_PATIENCE;
        assert!(!health.must_probe(now));
        assert!(health.must_probe(due));
        assert!(!health.must_probe(due));
        assert!(health.must_probe(due + PROBE_INTERVAL));
        health.probed(Err(Lack::GroupRight));
        assert_eq!(health.held_up(), Some(Problem::Group));
        health.reported(Code::UnknownTopic, "no");
        assert!(!health.must_probe(due + PROBE_INTERVAL * 2));
    }
}
