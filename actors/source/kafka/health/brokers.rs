//! Whether any broker answers.
//!
//! The brokers count as away once queries of our own are not answered. An error of librdkafka alone is not enough: it waits
//! in a queue, and may be read after the answer of a broker that has come back since. Conversely, librdkafka notices a
//! broker that hangs only after a minute, and our queries notice it within seconds.

use std::time::{Duration, Instant};

use crate::outage::Outage;

/// Unanswered queries that confirm an error of librdkafka. The first one may have used a connection that was already broken.
const CONFIRMING: u32 = 2;
/// Unanswered queries that suffice without an error of librdkafka: a broker that is busy for a moment is not away.
const UNANSWERED_ALONE: u32 = 5;
/// The time after an outage for which librdkafka's errors belong to that outage: connections that were opened and queries
/// that were sent in it fail one after the other. It is longer than librdkafka waits for a broker's handshake.
const RECOVERING: Duration = Duration::from_secs(15);

/// The state of all brokers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) enum Brokers {
    Answer,
    /// The number of queries in a row that were not answered, and whether librdkafka has reported that no broker answers.
    InDoubt {
        unanswered: u32,
        reported: bool,
    },
    Away,
}

pub(super) struct Answers {
    outage: Outage,
    brokers: Brokers,
    /// When a query was answered last.
    last: Instant,
    /// When the last outage ended.
    back_at: Option<Instant>,
    /// librdkafka's last error of one connection: mostly the cause.
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

    /// librdkafka reports an error of one connection.
    pub(super) fn connection_failed(&mut self, reason: &str) {
        reason.clone_into(&mut self.last_reason);
    }

    /// librdkafka reports that no broker answers.
    pub(super) fn down_reported(&mut self) {
        self.brokers = match self.brokers {
            Brokers::Answer => Brokers::InDoubt {
                unanswered: 0,
                reported: true,
            },
            Brokers::InDoubt { unanswered, .. } => Brokers::InDoubt {
                unanswered,
                reported: true,
            },
            Brokers::Away => Brokers::Away,
        };
    }

    /// The brokers are to be queried at once.
    pub(super) fn doubt(&mut self) {
        if self.brokers == Brokers::Answer {
            self.brokers = Brokers::InDoubt {
                unanswered: 0,
                reported: false,
            };
        }
    }

    /// A broker answered a query that was sent after all reasons for doubt: a later outage is logged anew. Returns whether
    /// the brokers were away.
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

    /// A query was not answered.
    pub(super) fn unanswered(&mut self) {
        let (before, reported) = match self.brokers {
            Brokers::Answer => (0, false),
            Brokers::InDoubt {
                unanswered,
                reported,
            } => (unanswered, reported),
            Brokers::Away => (UNANSWERED_ALONE, true),
        };
        let unanswered = before + 1;
        let is_recovering = self.back_at.is_some_and(|at| at.elapsed() < RECOVERING);
        let believed = match reported && !is_recovering {
            true => CONFIRMING,
            false => UNANSWERED_ALONE,
        };
        if unanswered < believed {
            self.brokers = Brokers::InDoubt {
                unanswered,
                reported,
            };
            return;
        }
        self.brokers = Brokers::Away;
        let reason = match self.last_reason.is_empty() {
            true => "no broker answers".to_owned(),
            false => format!("no broker answers; {}", self.last_reason),
        };
        // librdkafka decides how long to wait.
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
    fn an_outage_that_is_reported_late_and_is_over_is_none() {
        let mut answers = answers();
        answers.answered();
        answers.down_reported();
        assert_eq!(
            answers.brokers(),
            Brokers::InDoubt {
                unanswered: 0,
                reported: true
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
            reported: true,
        };
        answers.down_reported();
        answers.unanswered();
        assert_eq!(answers.brokers(), in_doubt);
        // Reported once more meanwhile: the unanswered questions still count.
        answers.down_reported();
        assert_eq!(answers.brokers(), in_doubt);
        answers.answered();
        assert_eq!(answers.brokers(), Brokers::Answer);
    }

    #[test]
    fn a_broker_that_hangs_is_away_before_librdkafka_reports_it() {
        let mut answers = answers();
        for _ in 0..UNANSWERED_ALONE - 1 {
            answers.unanswered();
            assert!(matches!(
                answers.brokers(),
                Brokers::InDoubt {
                    reported: false,
                    ..
                }
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
            answers.down_reported();
            answers.unanswered();
            answers.unanswered();
            assert_eq!(answers.brokers(), Brokers::Away);
            // Neither is news.
            answers.down_reported();
            answers.unanswered();
            assert_eq!(answers.brokers(), Brokers::Away);
            assert!(answers.answered());
            assert_eq!(answers.brokers(), Brokers::Answer);
        }
    }

    #[test]
    fn errors_right_after_an_outage_make_no_second_one() {
        let mut answers = answers();
        for _ in 0..UNANSWERED_ALONE {
            answers.unanswered();
        }
        assert!(answers.answered());
        // A connection of the outage fails, and another one is being opened.
        answers.down_reported();
        for _ in 0..UNANSWERED_ALONE - 1 {
            answers.unanswered();
            assert!(matches!(answers.brokers(), Brokers::InDoubt { .. }));
        }
        answers.unanswered();
        assert_eq!(
            answers.brokers(),
            Brokers::Away,
            "a second outage is reported all the same"
        );
    }
}
