//! What is written of a run's end: from its own result and how its process ended.

use std::path::Path;

use serde_json::Value;

use super::process::{ExitStatus, RunResult};
use crate::state::CronState;
use crate::store::truncate::result_text;

/// Success in `crontab_log.result`, as the Go project writes it.
pub(crate) const RESULT_OK: u8 = 0;
/// Failure there.
pub(crate) const RESULT_FAILED: u8 = 1;

/// `crontab_log.status` and `result`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: &'static str,
    pub(crate) result: String,
    /// An end that `overlap` or a person asked for.
    asked_for: bool,
}

impl Outcome {
    fn failure(status: &'static str, why: impl Into<Value>) -> Self {
        Self {
            status,
            result: result_text(RESULT_FAILED, &why.into()),
            asked_for: false,
        }
    }

    fn asked_for(status: &'static str, why: impl Into<Value>) -> Self {
        Self {
            asked_for: true,
            ..Self::failure(status, why)
        }
    }

    /// The run's own result.
    pub(crate) fn reported(result: &RunResult) -> Self {
        Self {
            status: if result.status == RESULT_OK {
                "success"
            } else {
                "failed"
            },
            result: result_text(result.status, &result.data),
            asked_for: false,
        }
    }

    /// It never ran.
    pub(super) fn not_started(why: impl Into<Value>) -> Self {
        Self::failure("failed", why)
    }

    /// It is a misfire that `misfire` does not make up for.
    pub(super) fn database_away() -> Self {
        Self::not_started("the database was away for longer than misfire_grace")
    }

    /// `overlap: forbid`.
    pub(super) fn skipped() -> Self {
        Self::asked_for("skipped", "an earlier run of this entry still runs")
    }

    /// `overlap: replace`, before it began.
    pub(super) fn overtaken() -> Self {
        Self::asked_for("skipped", "a later fire of this entry took its place")
    }

    /// It ran longer than the entry's `timeout`, and was ended with its whole group.
    pub(super) fn timeout(seconds: f64) -> Self {
        Self::failure("timeout", format!("ended after its timeout of {seconds} s"))
    }

    /// `overlap: replace`.
    pub(super) fn replaced() -> Self {
        Self::asked_for("killed", "ended to make room for the entry's next run")
    }

    /// `cron end`.
    pub(super) fn ended_by_order(of: &str) -> Self {
        Self::asked_for("killed", format!("ended by order of {of}"))
    }

    /// An end that `overlap` or a person asked for.
    pub(super) fn is_ordinary(&self) -> bool {
        self.asked_for
    }

    /// Publishes it as the end of a run.
    pub(super) fn publish(&self, state: &CronState, run_id: &str) {
        match self.is_ordinary() {
            true => state.ended_as_configured(run_id, self.status),
            false => state.ended(run_id, self.status, &self.result),
        }
    }

    /// Whether its process lives is unknown.
    pub(super) fn given_up() -> Self {
        Self::failure(
            "lost",
            "whether it has ended cannot be seen from here; given up after its timeout (without one, a day)",
        )
    }

    /// Nobody saw how it ended.
    pub(super) fn lost() -> Self {
        Self::failure("lost", "it ended without a result, and nobody saw how")
    }

    /// How it ended, seen by the daemon that started it. The run's own result goes first; else the reason may stand in
    /// its output.
    pub(super) fn seen(reported: Option<&RunResult>, exit: ExitStatus, output: &Path) -> Self {
        let output = output.display();
        match (reported, exit) {
            (Some(result), _) => Self::reported(result),
            (None, ExitStatus::Signaled(signal, _)) => Self::failure(
                "killed",
                format!("killed by signal {signal}; its output is in `{output}`"),
            ),
            (None, ExitStatus::Exited(code)) => Self::failure(
                "failed",
                format!("ended without a result, exit status {code}; its output is in `{output}`"),
            ),
            (None, ExitStatus::Unknown) => Self::lost(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_end_has_its_word() {
        let reported = |status| RunResult {
            status,
            data: json!("x"),
            ended_ms: 0,
        };
        let output = Path::new("logs/cron/c.out");
        let cases = [
            (
                Outcome::seen(Some(&reported(0)), ExitStatus::Exited(0), output),
                "success",
            ),
            (
                Outcome::seen(Some(&reported(1)), ExitStatus::Exited(1), output),
                "failed",
            ),
            (
                Outcome::seen(Some(&reported(0)), ExitStatus::Signaled(9, false), output),
                "success",
            ),
            (
                Outcome::seen(None, ExitStatus::Signaled(9, false), output),
                "killed",
            ),
            (Outcome::seen(None, ExitStatus::Exited(3), output), "failed"),
            (Outcome::seen(None, ExitStatus::Unknown, output), "lost"),
        ];
        for (outcome, status) in cases {
            assert_eq!(outcome.status, status, "{outcome:?}");
        }
        let refused = Outcome::seen(None, ExitStatus::Exited(2), output);
        assert!(
            refused
                .result
                .contains("exit status 2; its output is in `logs/cron/c.out`"),
            "{refused:?}"
        );
        assert_eq!(
            Outcome::reported(&reported(0)).result,
            r#"{"status":0,"data":"x"}"#
        );
    }
}
