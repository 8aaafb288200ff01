//! What a batch handler may answer.

use super::error::{JobError, JobResult};

/// The answer of a batch handler: one outcome for all messages, or one for each in their order.
pub trait BatchOutcome {
    /// One outcome per message.
    fn outcomes(self, n: usize) -> Vec<JobResult>;
}

impl BatchOutcome for JobResult {
    fn outcomes(self, n: usize) -> Vec<JobResult> {
        match self {
            Ok(()) => (0..n).map(|_| Ok(())).collect(),
            Err(error) => same_for_all(&error, n),
        }
    }
}

impl BatchOutcome for Vec<JobResult> {
    /// An answer of the wrong length proves nothing about any message, so all are retried.
    fn outcomes(self, n: usize) -> Vec<JobResult> {
        if self.len() == n {
            return self;
        }
        let error = format!(
            "the batch handler answered {} outcomes for {n} messages; one for each is right",
            self.len()
        );
        same_for_all(&error.into(), n)
    }
}

pub(crate) fn same_for_all(error: &JobError, n: usize) -> Vec<JobResult> {
    (0..n).map(|_| Err(error.again())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::error::Next;

    #[test]
    fn one_outcome_stands_for_all() {
        let outcomes = JobResult::Err(JobError::discard("no")).outcomes(2);
        assert!(
            outcomes
                .iter()
                .all(|o| matches!(o, Err(e) if e.next() == Next::Discard))
        );
        assert_eq!(Ok::<(), JobError>(()).outcomes(3).len(), 3);
    }

    #[test]
    fn an_answer_of_the_wrong_length_retries_all() {
        let outcomes = vec![Ok(())].outcomes(2);
        assert_eq!(outcomes.len(), 2);
        let error = outcomes[0].as_ref().unwrap_err();
        assert_eq!(error.next(), Next::Retry);
        assert!(error.to_string().contains("1 outcomes for 2 messages"));
    }
}
