//! The task of an Alertmanager. It resolves an alert that is not sent again, so each firing one is sent each minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::Transport;
use super::delivery::Delivered;
use super::receiver::{Receiver, rfc3339};
use super::retrying::{LONGEST_NAMED, Retrying};
use super::serving::{GATHER, Serving};
use super::verdict::Verdict;
use super::waiting::Waiting;
use super::{Notice, NoticeKind, Origin};

/// Pause between two sends of what fires.
const AGAIN: Duration = Duration::from_secs(60);
/// Time after which an alert that is not sent again ends, should this daemon die. Three messages may get lost.
const ENDS_AFTER: TimeDelta = TimeDelta::minutes(4);
/// While the Alertmanager takes nothing for longer than one message is tried for, it is asked this often.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// Serves it for ever. The states outlive this task.
pub(super) async fn serve(
    receiver: Arc<Receiver>,
    waiting: Waiting,
    transport: Arc<dyn Transport>,
    states: &mut States,
) {
    let mut serving = Serving::new(receiver, waiting, transport);
    let mut trouble = Trouble::default();
    loop {
        // At a stop nothing is repeated.
        let is_over = serving.waiting.is_closing() && states.unsent.is_empty();
        let is_due_again = !states.is_empty() && !is_over;
        wait(&serving.waiting, &trouble, is_due_again).await;
        absorb(&serving.waiting, states);
        if !states.is_empty() {
            send(&mut serving, states, &mut trouble).await;
        }
    }
}

/// Until something new waits, or it is time again. One that takes nothing now is asked in its time, whatever is new.
async fn wait(waiting: &Waiting, trouble: &Trouble, is_due_again: bool) {
    let left = trouble.next.saturating_duration_since(Instant::now());
    if !is_due_again {
        waiting.any().await;
        let is_troubled = trouble.retrying.is_some();
        waiting.pause(if is_troubled { left } else { GATHER }).await;
    } else if trouble.retrying.is_some() {
        waiting.pause(left).await;
    } else {
        tokio::select! {
            () = waiting.any() => waiting.pause(GATHER).await,
            () = waiting.pause(left) => {}
        }
    }
}

fn absorb(waiting: &Waiting, states: &mut States) {
    let (notices, left_out) = waiting.all();
    waiting.set_out(notices.len(), left_out);
    for notice in &notices {
        states.learn(notice);
    }
}

/// What fires, and what has ended and is not sent yet.
#[derive(Default)]
pub(super) struct States {
    by_alert: BTreeMap<(String, String), State>,
    /// Alerts that were handed over and not sent yet.
    unsent: Vec<Arc<Notice>>,
}

struct State {
    /// The first one: an alert is known by its labels, which stay what they were.
    first: Arc<Notice>,
    latest: Arc<Notice>,
}

impl States {
    pub(super) fn learn(&mut self, notice: &Arc<Notice>) {
        self.unsent.push(Arc::clone(notice));
        // A count that was reached has no end, and so is no state.
        if notice.kind == NoticeKind::Count {
            return;
        }
        let key = (notice.rule.clone(), notice.subject.clone());
        let state = self.by_alert.entry(key).or_insert_with(|| State {
            first: Arc::clone(notice),
            latest: Arc::clone(notice),
        });
        state.latest = Arc::clone(notice);
    }

    fn is_empty(&self) -> bool {
        self.by_alert.is_empty() && self.unsent.is_empty()
    }

    pub(super) fn body(&self, origin: &Origin, now: DateTime<Utc>) -> Value {
        let all = self.by_alert.values();
        all.map(|state| state.body(origin, now)).collect()
    }

    /// It has them: what has ended need not be sent again.
    pub(super) fn sent(&mut self) {
        self.unsent.clear();
        self.by_alert
            .retain(|_, state| state.latest.kind != NoticeKind::Resolved);
    }
}

impl State {
    fn body(&self, origin: &Origin, now: DateTime<Utc>) -> Value {
        let Self { first, latest } = self;
        // It refuses what ends before it starts, as a clock that was set back would have it.
        let starts_at = first.started_at.min(now);
        let ends_at = match latest.kind {
            NoticeKind::Resolved => latest.ended_at.unwrap_or(now).max(starts_at),
            _ => now + ENDS_AFTER,
        };
        let mut labels = json!({
            "alertname": first.rule,
            "job": "simplest_script",
            "severity": first.severity.name(),
            "environment": origin.environment.name(),
            "partition": origin.partition,
            "instance": origin.host,
        });
        // An empty label is none.
        if !first.subject.is_empty() {
            labels["subject"] = json!(first.subject);
        }
        json!({
            "labels": labels,
            "annotations": {
                "summary": latest.summary,
                "description": latest.details.join("\n"),
            },
            "startsAt": rfc3339(starts_at),
            "endsAt": rfc3339(ends_at),
        })
    }
}

/// Since when it takes nothing, and when it is asked the next time.
struct Trouble {
    retrying: Option<Retrying>,
    /// It was tried for long enough; the end of the attempts is logged.
    is_given_up: bool,
    next: Instant,
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            retrying: None,
            is_given_up: false,
            next: Instant::now(),
        }
    }
}

async fn send(serving: &mut Serving, states: &mut States, trouble: &mut Trouble) {
    let now = crate::clock::now_utc();
    let body = states.body(&serving.receiver.origin, now);
    let was_closing = serving.waiting.is_closing();
    let is_nothing = body.as_array().is_none_or(Vec::is_empty);
    let verdict = match is_nothing {
        true => Verdict::Sent,
        false => {
            let message = Receiver::json_message(&body, states.by_alert.len());
            serving.attempt(&message).await
        }
    };
    let now = Instant::now();
    trouble.next = now + AGAIN;
    let mut outcome = Delivered::Everywhere;
    match verdict {
        Verdict::Sent => {
            let label = &serving.receiver.label;
            if trouble.is_given_up {
                log::info!("{label} takes alerts again");
            } else if !states.unsent.is_empty() && !is_nothing {
                log::debug!("{label} has {} alerts", states.by_alert.len());
            }
            serving.taken_again();
            *trouble = Trouble {
                next: trouble.next,
                ..Trouble::default()
            };
        }
        Verdict::Refused { why, remedy, .. } => {
            serving.refused(states.unsent.len().max(1), &why, remedy);
            outcome = Delivered::NotEverywhere;
        }
        Verdict::Wait { named, why } => {
            let retrying = trouble.retrying.get_or_insert_with(|| Retrying::new(now));
            let pause = retrying.failed(now, named, fastrand::f64());
            match pause.filter(|_| !was_closing && !trouble.is_given_up) {
                Some(pause) => {
                    trouble.next = now + pause;
                    return;
                }
                None if !trouble.is_given_up => {
                    trouble.is_given_up = true;
                    log::error!(
                        "{} has taken no alert for {} s; what fires is sent again each minute: {why}",
                        serving.receiver.label,
                        retrying.lasts(now).as_secs()
                    );
                }
                None => {}
            }
            let asked = named.unwrap_or_default().min(LONGEST_NAMED);
            trouble.next = now + asked.max(ASKED_AGAIN);
            outcome = match was_closing {
                true => Delivered::CutShort,
                false => Delivered::NotEverywhere,
            };
        }
    }
    if outcome != Delivered::Everywhere {
        serving.log_lost(&states.unsent);
    }
    serving.waiting.decided(states.unsent.len(), outcome);
    states.sent();
}
