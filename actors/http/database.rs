//! Whether the database answers, for any number of callers.
//!
//! One question at a time, and one a second: however many probes ask, and however long the database takes, no more than one
//! of its connections is theirs. Nobody waits for longer than [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::db::Db;
use crate::store::DbError;
use crate::store::rows::AliveBoot;

/// How long an answer serves.
const FRESH: Duration = Duration::from_secs(1);
/// A database that takes longer is not there: a probe has its answer within two seconds.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A question that was not answered by then is given up, and the next one goes another way: its connection may be dead
/// without a word, which the system finds out after a quarter of an hour.
const LONGEST_QUESTION: Duration = Duration::from_secs(10);

/// The database's answer, and when it was asked.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    at: Instant,
    /// The daemons that share the tables.
    boots: Result<Arc<[AliveBoot]>, DbError>,
}

/// See the module's header.
pub(crate) struct DatabaseCheck {
    db: Db,
    answer: watch::Sender<Option<Answer>>,
    /// Since when a question is under way.
    asking: Arc<Mutex<Option<Instant>>>,
}

/// Why it is not known which daemons there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the database does not answer: {0}")]
    Refused(String),
    #[error("the database has not answered for {} ms", .0.as_millis())]
    Silent(Duration),
}

impl DatabaseCheck {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            answer: watch::Sender::new(None),
            asking: Arc::default(),
        }
    }

    /// The daemons that share the tables, as the database knows them; with how long ago it was asked.
    pub(super) async fn boots(&self) -> Result<(Arc<[AliveBoot]>, Duration), NoAnswer> {
        let mut answer = self.answer.subscribe();
        let asked_at = self.ask_if_stale();
        // A question that has been under way for long gets no new patience from each that waits for it.
        let left = PATIENCE.saturating_sub(asked_at.elapsed());
        let fresh =
            answer.wait_for(|answer| answer.as_ref().is_some_and(|answer| answer.at >= asked_at));
        let answer = match timeout(left, fresh).await {
            Ok(Ok(answer)) => answer.clone(),
            // The sender is ours.
            Ok(Err(_)) | Err(_) => None,
        };
        let answer = answer.ok_or_else(|| NoAnswer::Silent(asked_at.elapsed()))?;
        match answer.boots {
            Ok(boots) => Ok((boots, answer.at.elapsed())),
            Err(cause) => Err(NoAnswer::Refused(cause.to_string())),
        }
    }

    /// When the question was asked whose answer serves now.
    fn ask_if_stale(&self) -> Instant {
        let mut asking = self.asking.lock();
        if let Some(since) = *asking {
            return since;
        }
        let now = Instant::now();
        if let Some(answer) = &*self.answer.borrow()
            && now - answer.at < FRESH
        {
            return answer.at;
        }
        *asking = Some(now);
        let under_way = UnderWay(Arc::clone(&self.asking));
        let (db, answer) = (self.db.clone(), self.answer.clone());
        // Not within the caller's future: a caller that goes must not leave a second question to the next.
        tokio::spawn(async move {
            let boots = match timeout(LONGEST_QUESTION, db.reader().alive_boots()).await {
                Ok(boots) => boots.map(Arc::from),
                Err(_) => Err(DbError::Away(format!(
                    "no answer within {LONGEST_QUESTION:?}"
                ))),
            };
            // The answer first: a caller that finds no question under way must find it.
            answer.send_replace(Some(Answer { at: now, boots }));
            drop(under_way);
        });
        now
    }
}

/// A question is under way until this goes, with its runtime too.
struct UnderWay(Arc<Mutex<Option<Instant>>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
