//! What is wrong with the brokers, the topic or the group: two log lines for each time it is.
//!
//! That no broker answers is believed once questions of our own go unanswered. librdkafka's word alone is news of a moment
//! that may be over: it stands in a queue, and is read after the answer of a broker that has come back since. The other way
//! round a broker that hangs is noticed by librdkafka after a minute only, and by our questions within seconds.
//!
//! A group that gives no partitions is watched too: librdkafka waits for a coordinator for ever, and says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::probe::{GroupState, Lack, Reached};
use super::remedy::of_group;
use crate::outage::Outage;

/// Unanswered questions that confirm what librdkafka said. The first one may have met a connection that was already broken.
const CONFIRMING: u32 = 2;
/// Those that tell it where librdkafka has said nothing: a broker that is busy for a moment is not away.
const TELLING: u32 = 5;
/// A group takes seconds to share out, and longer when a member ended without leaving. This is longer than both.
pub(super) const GROUP_PATIENCE: Duration = Duration::from_secs(30);
/// Commits that are refused for so long are said: in a rebalance they are refused for a moment. What was finished since runs
/// again if the process is killed.
const COMMIT_PATIENCE: Duration = Duration::from_secs(15);
/// What keeps the group from giving us partitions may become something else.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// An error that hinders nothing is logged again after so long.
const WARN_INTERVAL: Duration = Duration::from_secs(600);

pub(super) struct Health {
    queue: String,
    state: Mutex<State>,
    /// How many of our partitions may not be read.
    unreadable: AtomicUsize,
}

struct State {
    outage: Outage,
    /// When a question was answered last.
    last_answer: Instant,
    brokers: Brokers,
    /// What librdkafka said last of one connection: mostly the cause.
    last_reason: String,
    place: Outage,
    /// Something keeps records from coming, and why.
    held_up: Option<(Problem, String)>,
    /// Set while the group has not given us our share.
    waiting: Option<Waiting>,
    warned: Option<(Code, Instant)>,
    commits: Outage,
    uncommitted_since: Option<Instant>,
}

/// What is known of all brokers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brokers {
    Answer,
    /// So many questions in a row were not answered; whether librdkafka said as well that no broker does.
    InDoubt {
        unanswered: u32,
        said: bool,
    },
    Away,
}

/// What keeps records from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The topic is not there, or not for us: that it has come is seen in the cluster's metadata.
    Topic,
    /// It is shown and may not be read: over when something was read. The metadata are the same as ever.
    Read,
    /// The group does not take us: that it does is seen when it shares out partitions.
    Group,
    /// Some partitions have no leader that can be reached: over when all leaders have answered.
    Leader,
}

/// For the group's partitions.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Instant,
    next_probe: Instant,
}

impl Waiting {
    fn from(now: Instant) -> Self {
        Self {
            since: now,
            next_probe: now + GROUP_PATIENCE,
        }
    }
}

impl Health {
    /// `place`: the topic and the group, for people.
    pub(super) fn new(queue: &str, cluster: &str, place: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            state: Mutex::new(State {
                outage: Outage::new(format!("queue `{queue}`: Kafka `{cluster}`")),
                last_answer: Instant::now(),
                brokers: Brokers::Answer,
                last_reason: String::new(),
                place: Outage::new(format!("queue `{queue}`: {place}")),
                held_up: None,
                waiting: None,
                warned: None,
                commits: Outage::new(format!("queue `{queue}`: the committing of positions")),
                uncommitted_since: None,
            }),
            unreadable: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// librdkafka reports an error; it goes on by itself unless it says that it does not.
    pub(super) fn told(&self, code: Code, reason: &str) {
        match code {
            // The member cannot go on, and `broken` says why.
            Code::PartitionEOF | Code::Fatal => {}
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
                "the cluster does not show it to us; the right `READ` on the topic would help",
            ),
            // Said once; the partition stands from then on.
            Code::AutoOffsetReset => self.hold_up(
                Problem::Read,
                "a partition has no position in the group, and `auto.offset.reset` is `error`: set the group's positions, or `earliest` or `latest`, and start again",
            ),
            // No list of codes is complete: whatever is said while the group gives us nothing is why.
            code if self.waits() => self.hold_up(Problem::Group, &of_group(code, reason)),
            code => self.warn(code, reason),
        }
    }

    /// A fetch from one more of our partitions is refused.
    pub(super) fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        self.hold_up(Problem::Read, &Lack::TopicRight.to_string());
    }

    /// That partition was read since, found to be at its end, or is no longer ours.
    pub(super) fn readable(&self) {
        if self.unreadable.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.well(|problem| problem == Problem::Read);
        }
    }

    /// Where a new group begins cannot be found out, and until then nothing comes.
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

    /// The brokers took no positions of ours, since when; or they took some.
    pub(super) fn committed(&self, result: Result<(), String>) {
        let (mut state, now) = (self.lock(), Instant::now());
        match result {
            Ok(()) => {
                state.uncommitted_since = None;
                state.commits.passed();
            }
            Err(why) => {
                let since = *state.uncommitted_since.get_or_insert(now);
                if now - since >= COMMIT_PATIENCE {
                    let _ = state.commits.failed(why);
                }
            }
        }
    }

    /// Whether nothing is known that would explain a question without an answer.
    pub(super) fn is_well(&self) -> bool {
        let state = self.lock();
        state.brokers == Brokers::Answer && state.held_up.is_none() && state.waiting.is_none()
    }

    pub(super) fn leader_away(&self, lack: &Lack) {
        self.hold_up(Problem::Leader, &lack.to_string());
    }

    pub(super) fn leaders_answer(&self) {
        self.well(|problem| problem == Problem::Leader);
    }

    /// Hinders nothing that is known here.
    fn warn(&self, code: Code, reason: &str) {
        let (mut state, now) = (self.lock(), Instant::now());
        let is_news = |(warned, at): (Code, Instant)| warned != code || now - at >= WARN_INTERVAL;
        if state.warned.is_none_or(is_news) {
            state.warned = Some((code, now));
            log::warn!("queue `{}`: {reason}", self.queue);
        }
    }

    fn no_broker(&self) {
        let mut state = self.lock();
        state.brokers = match state.brokers {
            Brokers::Answer => Brokers::InDoubt {
                unanswered: 0,
                said: true,
            },
            Brokers::InDoubt { unanswered, .. } => Brokers::InDoubt {
                unanswered,
                said: true,
            },
            Brokers::Away => Brokers::Away,
        };
    }

    fn hold_up(&self, problem: Problem, why: &str) {
        let mut state = self.lock();
        state.held_up = Some((problem, why.to_owned()));
        let _ = state.place.failed(why);
    }

    /// The member itself cannot be, and is made anew.
    pub(super) fn broken(&self, why: &str) -> Duration {
        let mut state = self.lock();
        state.held_up = Some((Problem::Group, why.to_owned()));
        state.place.failed(why)
    }

    pub(super) fn brokers(&self) -> Brokers {
        self.lock().brokers
    }

    pub(super) fn held_up(&self) -> Option<Problem> {
        self.lock().held_up.as_ref().map(|(problem, _)| *problem)
    }

    /// What held us up still does, as far as is known: an outage that lasts is said again from time to time.
    pub(super) fn remind(&self) {
        let mut state = self.lock();
        if let Some((_, why)) = state.held_up.clone() {
            let _ = state.place.failed(why);
        }
    }

    /// A broker answered a question that was asked after all that it was doubted for: a later outage is told anew.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        if state.brokers == Brokers::Away
            && let Some(waiting) = &mut state.waiting
        {
            // The group is asked from now on only.
            *waiting = Waiting::from(Instant::now());
        }
        state.brokers = Brokers::Answer;
        state.last_reason.clear();
        state.last_answer = Instant::now();
        state.outage.passed();
    }

    /// A question was not answered.
    pub(super) fn unanswered(&self) {
        let mut state = self.lock();
        let (before, said) = match state.brokers {
            Brokers::Answer => (0, false),
            Brokers::InDoubt { unanswered, said } => (unanswered, said),
            Brokers::Away => (TELLING, true),
        };
        let unanswered = before + 1;
        if unanswered < if said { CONFIRMING } else { TELLING } {
            state.brokers = Brokers::InDoubt { unanswered, said };
            return;
        }
        state.brokers = Brokers::Away;
        let reason = match state.last_reason.is_empty() {
            true => "no broker answers".to_owned(),
            false => format!("no broker answers; {}", state.last_reason),
        };
        // How long to wait is librdkafka's business.
        let silence = state.last_answer.elapsed();
        let _ = state.outage.failed_after(silence, reason);
    }

    /// The topic is there.
    pub(super) fn found_topic(&self) {
        self.well(|problem| problem == Problem::Topic);
    }

    /// The group is asked for partitions, or has taken all of them: from now on it owes an answer.
    pub(super) fn asks_group(&self) {
        let waiting = &mut self.lock().waiting;
        waiting.get_or_insert(Waiting::from(Instant::now()));
    }

    fn waits(&self) -> bool {
        self.lock().waiting.is_some()
    }

    /// The session is over without a word of ours or the group's: the brokers are asked whether they are there.
    pub(super) fn lost_group(&self) {
        self.asks_group();
        let mut state = self.lock();
        if state.brokers == Brokers::Answer {
            state.brokers = Brokers::InDoubt {
                unanswered: 0,
                said: false,
            };
        }
    }

    /// The group shared out partitions.
    pub(super) fn shared_out(&self, any_is_ours: bool) {
        self.lock().waiting = None;
        // Where we have no partition there is nothing to read.
        self.well(|problem| match problem {
            Problem::Group => true,
            Problem::Topic => any_is_ours,
            Problem::Read => !any_is_ours,
            Problem::Leader => false,
        });
    }

    /// Whether the group has been silent for so long, with nothing known that would explain it, that the cluster must be asked why.
    pub(super) fn must_probe(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let is_explained = matches!(state.held_up, Some((Problem::Topic | Problem::Read, _)));
        match &mut state.waiting {
            Some(waiting) if now >= waiting.next_probe && !is_explained => {
                waiting.next_probe = now + PROBE_INTERVAL;
                true
            }
            _ => false,
        }
    }

    /// What the cluster says to that.
    pub(super) fn probed(&self, found: Result<Reached, Lack>) {
        let Some(Waiting { since, .. }) = self.lock().waiting else {
            return;
        };
        // Said already, by the outage of all brokers.
        if let Err(Lack::Brokers { .. }) = found {
            return;
        }
        let silent = since.elapsed().as_secs();
        let why = match found {
            Err(lack) => lack.to_string(),
            Ok(Reached {
                group: GroupState::Rebalancing { members },
                ..
            }) => format!(
                "the group shares out its partitions and waits for one of its {members} members; a member that hangs is left out after its `max.poll.interval.ms` (5 minutes where it says nothing), or when it is restarted"
            ),
            Ok(_) => "brokers, topic, coordinator and rights are as they should be; the brokers' logs may say why the group does not take us".to_owned(),
        };
        // Something that librdkafka itself has said is more to the point.
        if self
            .held_up()
            .is_none_or(|problem| problem != Problem::Group)
        {
            self.hold_up(
                Problem::Group,
                &format!("the group has given us no partitions for {silent} s: {why}"),
            );
        }
    }

    fn well(&self, of: impl Fn(Problem) -> bool) {
        let mut state = self.lock();
        if state
            .held_up
            .as_ref()
            .is_some_and(|(problem, _)| of(*problem))
        {
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
        assert_eq!(
            health.brokers(),
            Brokers::InDoubt {
                unanswered: 0,
                said: true
            }
        );
        health.answered();
        assert_eq!(health.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_question_that_met_a_broken_connection_is_no_outage() {
        let health = health();
        told_none_answers(&health);
        health.unanswered();
        assert_eq!(
            health.brokers(),
            Brokers::InDoubt {
                unanswered: 1,
                said: true
            }
        );
        // Told once more meanwhile: what was asked still counts.
        told_none_answers(&health);
        assert_eq!(
            health.brokers(),
            Brokers::InDoubt {
                unanswered: 1,
                said: true
            }
        );
        health.answered();
        assert_eq!(health.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_broker_that_hangs_is_away_before_librdkafka_says_so() {
        let health = health();
        for _ in 0..TELLING - 1 {
            health.unanswered();
            assert!(matches!(
                health.brokers(),
                Brokers::InDoubt { said: false, .. }
            ));
        }
        health.unanswered();
        assert_eq!(health.brokers(), Brokers::Away);
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
        health.told(Code::PolicyViolation, "JoinGroup failed");
        assert_eq!(health.held_up(), None, "nothing is asked of the group");
        health.asks_group();
        health.told(Code::PolicyViolation, "JoinGroup failed");
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
        health.told(Code::UnknownTopic, "no");
        assert!(!health.must_probe(due + PROBE_INTERVAL * 2));
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
