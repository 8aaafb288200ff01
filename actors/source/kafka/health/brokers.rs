//! Whether any broker answers.
//!
//! That none does is believed once questions of our own go unanswered. librdkafka's word alone is news of a moment that may
//! be over: it stands in a queue, and is read after the answer of a broker that has come back since. The other way round a
//! broker that hangs is noticed by librdkafka after a minute only, and by our questions within seconds.

use std::time::{Duration, Instant};

use crate::outage::Outage;

/// Unanswered questions that confirm what librdkafka said. The first one may have met a connection that was already broken.
const CONFIRMING: u32 = 2;
/// Those that show it where librdkafka has said nothing: a broker that is busy for a moment is not away.
const TELLING: u32 = 5;
/// For this long after an outage librdkafka's errors belong to that outage: connections that were opened in it, and
/// questions that were asked in it, fail one after the other. It is longer than librdkafka waits for a broker's greeting.
const RECOVERING: Duration = Duration::from_secs(15);

/// What is known of all brokers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) enum Brokers {
    Answer,
    /// How many questions in a row were not answered; whether librdkafka said as well that no broker does.
    InDoubt {
        unanswered: u32,
        said: bool,
    },
    Away,
}

pub(super) struct Answers {
    outage: Outage,
    brokers: Brokers,
    /// When a question was answered last.
    last: Instant,
    /// When the last outage was over.
    back_at: Option<Instant>,
    /// What librdkafka said last of one connection: mostly the cause.
    last_reason: String,
}

impl Answers {
    /// Of a cluster, for one queue.
    pub(super) fn of(queue: &str, cluster: &str) -> Self {
        let cluster = format!("Kafka `{cluster}`");
        let what = format!("queue `{queue}`: {cluster}");
        Self {
            outage: Outage::of_server(cluster, what),
            brokers: Brokers::Answer,
            last: Instant::now(),
            back_at: None,
            last_reason: String::new(),
        }
    }

    pub(super) fn brokers(&self) -> Brokers {
        self.brokers
    }

    /// librdkafka says it of one connection.
    pub(super) fn connection_failed(&mut self, reason: &str) {
        reason.clone_into(&mut self.last_reason);
    }

    /// librdkafka says that no broker answers.
    pub(super) fn none_is_said_to(&mut self) {
        self.brokers = match self.brokers {
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

    /// They are to be asked at once.
    pub(super) fn doubt(&mut self) {
        if self.brokers == Brokers::Answer {
            self.brokers = Brokers::InDoubt {
                unanswered: 0,
                said: false,
            };
        }
    }

    /// A broker answered a question that was asked after all reasons for doubt: a later outage is logged anew. Returns
    /// whether the brokers were away.
    pub(super) fn answered(&mut self) -> bool {
        let were_away = self.brokers == Brokers::Away;
        self.brokers = Brokers::Answer;
        self.last_reason.clear();
        self.last = Instant::now();
        if were_away {
            self.back_at = Some(self.last);
        }
        self.outage.passed();
        were_away
    }

    /// A question was not answered.
    pub(super) fn unanswered(&mut self) {
        let (before, said) = match self.brokers {
            Brokers::Answer => (0, false),
            Brokers::InDoubt { unanswered, said } => (unanswered, said),
            Brokers::Away => (TELLING, true),
        };
        let unanswered = before + 1;
        let is_recovering = self.back_at.is_some_and(|at| at.elapsed() < RECOVERING);
        let believed = match said && !is_recovering {
            true => CONFIRMING,
            false => TELLING,
        };
        if unanswered < believed {
            self.brokers = Brokers::InDoubt { unanswered, said };
            return;
        }
        self.brokers = Brokers::Away;
        let reason = match self.last_reason.is_empty() {
            true => "no broker answers".to_owned(),
            false => format!("no broker answers; {}", self.last_reason),
        };
        // How long to wait is librdkafka's business.
        let _ = self.outage.failed_after(self.last.elapsed(), reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers::of("orders", "default")
    }

    #[test]
    fn an_outage_that_was_told_late_and_is_over_is_none() {
        let mut answers = answers();
        answers.answered();
        answers.none_is_said_to();
        assert_eq!(
            answers.brokers(),
            Brokers::InDoubt {
                unanswered: 0,
                said: true
            }
        );
        answers.answered();
        assert_eq!(answers.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_question_that_met_a_broken_connection_is_no_outage() {
        let mut answers = answers();
        let in_doubt = Brokers::InDoubt {
            unanswered: 1,
            said: true,
        };
        answers.none_is_said_to();
        answers.unanswered();
        assert_eq!(answers.brokers(), in_doubt);
        // Said once more meanwhile: what was asked still counts.
        answers.none_is_said_to();
        assert_eq!(answers.brokers(), in_doubt);
        answers.answered();
        assert_eq!(answers.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_broker_that_hangs_is_away_before_librdkafka_says_so() {
        let mut answers = answers();
        for _ in 0..TELLING - 1 {
            answers.unanswered();
            assert!(matches!(
                answers.brokers(),
                Brokers::InDoubt { said: false, .. }
            ));
        }
        answers.unanswered();
        assert_eq!(answers.brokers(), Brokers::Away);
    }

    #[test]
    fn an_outage_is_believed_when_questions_go_unanswered_and_over_when_one_is_answered() {
        let mut answers = answers();
        for _ in 0..2 {
            answers.back_at = None;
            answers.none_is_said_to();
            answers.unanswered();
            answers.unanswered();
            assert_eq!(answers.brokers(), Brokers::Away);
            // Neither is news.
            answers.none_is_said_to();
            answers.unanswered();
            assert_eq!(answers.brokers(), Brokers::Away);
            assert!(answers.answered());
            assert_eq!(answers.brokers(), Brokers::Answer);
        }
    }

    #[test]
    fn what_is_said_right_after_an_outage_makes_no_second_one_of_it() {
        let mut answers = answers();
        for _ in 0..TELLING {
            answers.unanswered();
        }
        assert!(answers.answered());
        // A connection of the outage fails, and another one is being opened.
        answers.none_is_said_to();
        for _ in 0..TELLING - 1 {
            answers.unanswered();
            assert!(matches!(answers.brokers(), Brokers::InDoubt { .. }));
        }
        answers.unanswered();
        assert_eq!(
            answers.brokers(),
            Brokers::Away,
            "a second one is told all the same"
        );
    }
}
