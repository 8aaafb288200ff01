//! An order for dead letters on its way: the person confirms it, it is carried out, and what it could not do is printed.

use std::fmt::Write;
use std::process::ExitCode;

use super::confirm::{Confirmed, confirm, with_group};
use crate::bootstrap::failure::{FAILED, Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::orders::orderer;
use crate::cli::print::{print, print_error};
use crate::config::Config;
use crate::orders::dead::{Deed, Done, Meant, Rate, Watch, carry_out};
use crate::store::DbError;
use crate::store::rows::DeadLetterOrder;

/// What the command line says of the order.
pub(super) struct Order {
    pub(super) meant: Meant,
    /// The name of a group of the same error, which narrows `meant`.
    pub(super) group: Option<String>,
    pub(super) rate: Option<Rate>,
    pub(super) confirmed: Confirmed,
    pub(super) deed: Deed,
    /// The words before and behind the dead letters in the question: `run`, ` again`.
    pub(super) words: (&'static str, &'static str),
}

/// An order that ended.
pub(super) struct Ended {
    pub(super) done: Done,
    /// Why it ended before its last dead letter, if it did.
    cause: Option<DbError>,
}

impl Order {
    /// Answers what was done, which is nothing where there is no such dead letter.
    pub(super) fn carry_out(self, config: &Config) -> Result<Ended, Failure> {
        let store = mini_system::migrated_store(config)?;
        let watch = Watch::default();
        let cause = mini_system::in_system(async {
            let db = mini_system::start_db(&store);
            let meant = with_group(self.meant, db.reader(), self.group).await?;
            if !confirm(&meant, db.reader(), self.confirmed, self.words).await? {
                return Ok(None);
            }
            let order = audited(config, &meant);
            let carried_out = carry_out(&db, &meant, &self.deed, self.rate, order, &watch).await;
            Ok(carried_out.err())
        })?;
        Ok(Ended {
            done: watch.done(),
            cause,
        })
    }
}

impl Ended {
    /// Prints what was done, then what was not and why.
    pub(super) fn print(self, summary: &str, mut complaints: String) -> Result<ExitCode, Failure> {
        print(summary)?;
        for id in &self.done.missing {
            let _ = writeln!(complaints, "there is no such dead letter: {id}");
        }
        if let Some(cause) = &self.cause {
            let _ = writeln!(complaints, "then: {}", chain(cause));
        }
        if complaints.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        print_error(&complaints);
        Ok(ExitCode::from(FAILED))
    }
}

/// The order as `audit` has it.
fn audited(config: &Config, meant: &Meant) -> DeadLetterOrder {
    DeadLetterOrder {
        environment: config.environment.name().to_owned(),
        ordered_by: orderer(),
        target: meant.describe(None),
        row: None,
        before: 0,
    }
}
