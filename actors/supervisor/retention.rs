//! Deletes rows that are older than the settings keep them; without a setting they are kept for ever. What warnings
//! counted is kept for a day.

use std::time::Duration;

use crate::clock::{millis, now_ms};
use crate::db::Db;
use crate::stop::StopListener;
use crate::store::write::{
    TrimAudit, TrimCrontabLog, TrimDeadLetters, TrimKeys, TrimNotices, TrimTasks, TrimWindows,
};
use crate::store::{DbError, TRIM_ROWS};

/// How often old rows are deleted.
const INTERVAL: Duration = Duration::from_secs(60);
/// Between two portions: others write in between.
const PAUSE: Duration = Duration::from_millis(100);

/// How long rows are kept; none: for ever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retention {
    /// Finished delayed tasks.
    pub(crate) tasks: Option<Duration>,
    /// Runs in `crontab_log`.
    pub(crate) crontab_log: Option<Duration>,
    pub(crate) dead_letters: Option<Duration>,
    /// Who ordered what.
    pub(crate) audit: Option<Duration>,
    pub(crate) idempotency_keys: Option<Duration>,
}

/// A table that is trimmed.
#[derive(Debug, Clone, Copy)]
enum Table {
    Tasks,
    CrontabLog,
    DeadLetters,
    Audit,
    IdempotencyKeys,
}

impl Retention {
    fn tables(self) -> impl Iterator<Item = (Table, Duration)> {
        let tables = [
            (Table::Tasks, self.tasks),
            (Table::CrontabLog, self.crontab_log),
            (Table::DeadLetters, self.dead_letters),
            (Table::Audit, self.audit),
            (Table::IdempotencyKeys, self.idempotency_keys),
        ];
        let kept = |(table, kept): (Table, Option<Duration>)| kept.map(|kept| (table, kept));
        tables.into_iter().filter_map(kept)
    }

    /// Trims until a stop begins.
    pub(super) async fn keep(self, db: Db, mut stop: StopListener) {
        while !stop.begun() {
            for (table, kept) in self.tables() {
                match table.trim(&db, kept).await {
                    Ok(()) => {}
                    // DbActor logs the outage.
                    Err(DbError::Away(_)) => {}
                    Err(cause) => {
                        log::warn!(
                            "old rows of `{}` could not be deleted: {cause}",
                            table.name()
                        );
                    }
                }
            }
            match trim_warnings(&db).await {
                Ok(()) | Err(DbError::Away(_)) => {}
                Err(cause) => log::warn!("old rows of warnings could not be deleted: {cause}"),
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.quiet() => return,
            }
        }
    }
}

/// What warnings counted, a day after their periods, and what nobody sent for a day.
async fn trim_warnings(db: &Db) -> Result<(), DbError> {
    while db.write(TrimWindows).await? == TRIM_ROWS {
        tokio::time::sleep(PAUSE).await;
    }
    let mut given_up = 0;
    loop {
        let deleted = db.write(TrimNotices).await?;
        given_up += deleted;
        if deleted < TRIM_ROWS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if given_up > 0 {
        log::error!(
            "{given_up} alerts of warnings are given up: no daemon of their environment sent them for a day"
        );
    }
    Ok(())
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "delay_queue_log",
            Self::CrontabLog => "crontab_log",
            Self::DeadLetters => "dead_letter",
            Self::Audit => "audit",
            Self::IdempotencyKeys => "idempotency_key",
        }
    }

    /// A portion at a time, until none is left.
    async fn trim(self, db: &Db, kept: Duration) -> Result<(), DbError> {
        let before_ms = now_ms() - millis(kept);
        let mut after_id = i64::MIN;
        loop {
            let more_after_id = match self {
                Self::Tasks => {
                    let before_s = before_ms.div_euclid(1000);
                    let deleted = db.write(TrimTasks { before_s }).await?;
                    (deleted == TRIM_ROWS).then_some(after_id)
                }
                Self::CrontabLog => {
                    let trim = TrimCrontabLog {
                        before_ms,
                        after_id,
                    };
                    db.write(trim).await?.more_after_id
                }
                Self::Audit => {
                    let deleted = db.write(TrimAudit { before_ms }).await?;
                    (deleted == TRIM_ROWS).then_some(after_id)
                }
                Self::IdempotencyKeys => {
                    let deleted = db.write(TrimKeys { before_ms }).await?;
                    (deleted == TRIM_ROWS).then_some(after_id)
                }
                Self::DeadLetters => {
                    let trim = TrimDeadLetters {
                        before_ms,
                        after_id,
                    };
                    db.write(trim).await?.more_after_id
                }
            };
            let Some(id) = more_after_id else {
                return Ok(());
            };
            after_id = id;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
