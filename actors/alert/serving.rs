//! The task of one receiver: gathers what waits for it, keeps to its pace, tries until it has taken the message.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Notice;
use super::client::Transport;
use super::pace::Pace;
use super::receiver::{Message, Receiver};
use super::retrying::Retrying;
use super::verdict::{Verdict, judge};
use super::waiting::Waiting;
use crate::clock::now_utc;

/// Alerts that come together go together.
pub(super) const GATHER: Duration = Duration::from_millis(500);
/// A refusal that repeats is said again after so long.
const SAID_AGAIN: Duration = Duration::from_secs(3600);

/// Serves it for ever.
pub(super) async fn serve(
    receiver: Arc<Receiver>,
    waiting: Waiting,
    transport: Arc<dyn Transport>,
) {
    let mut serving = Serving::new(receiver, waiting, transport);
    loop {
        serving.waiting.any().await;
        serving.one().await;
    }
}

/// What the task knows from one message to the next.
pub(super) struct Serving {
    pub(super) receiver: Arc<Receiver>,
    pub(super) waiting: Waiting,
    transport: Arc<dyn Transport>,
    pub(super) pace: Pace,
    refusals: Refusals,
}

/// The last refusal that the log has.
#[derive(Default)]
struct Refusals(Option<(String, Instant)>);

impl Refusals {
    /// Whether it is to be said.
    fn is_news(&mut self, why: &str) -> bool {
        let known = self.0.as_ref();
        let is_known = known.is_some_and(|(said, at)| said == why && at.elapsed() < SAID_AGAIN);
        if !is_known {
            self.0 = Some((why.to_owned(), Instant::now()));
        }
        !is_known
    }
}

impl Serving {
    pub(super) fn new(
        receiver: Arc<Receiver>,
        waiting: Waiting,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            pace: Pace::of(receiver.kind),
            receiver,
            waiting,
            transport,
            refusals: Refusals::default(),
        }
    }

    /// One message of what waits.
    async fn one(&mut self) {
        self.waiting.pause(GATHER).await;
        let now = Instant::now();
        let next = self.pace.next(now, now_utc(), fastrand::f64());
        self.waiting.pause(next - now).await;
        let taken = self.waiting.take(|notices, left_out| {
            let message = self.receiver.message(notices, left_out, now_utc());
            let alerts = message.alerts;
            let notices: Vec<Notice> = notices[..alerts].iter().copied().cloned().collect();
            ((message, notices), alerts)
        });
        if let Some((message, notices)) = taken {
            // Decided even if this task dies over it.
            let waiting = self.waiting.clone();
            let alerts = message.alerts;
            let _decided = scopeguard(move || waiting.decided(alerts));
            if !self.bring(&message).await {
                self.log_lost(&notices);
            }
        }
    }

    /// Tries until it is taken or given up. Returns whether it was taken.
    async fn bring(&mut self, message: &Message) -> bool {
        let mut retrying = Retrying::new(Instant::now());
        loop {
            let was_closing = self.waiting.is_closing();
            let (named, why) = match self.attempt(message).await {
                Verdict::Sent => {
                    self.sent(message);
                    return true;
                }
                Verdict::Refused { why, remedy } => {
                    self.refused(message.alerts, &why, remedy);
                    return false;
                }
                Verdict::Wait { named, why } => (named, why),
            };
            let now = Instant::now();
            let pause = retrying.failed(now, named, fastrand::f64());
            match pause.filter(|_| !was_closing) {
                Some(pause) => {
                    log::debug!(
                        "{} takes no alert now, tried again in {pause:?}: {why}",
                        self.receiver.label
                    );
                    if named.is_some() {
                        self.pace.hold(now, pause);
                    }
                    self.waiting.pause(pause).await;
                }
                None => {
                    log::error!(
                        "{}: {} not sent, tried for {} s: {why}",
                        self.receiver.label,
                        alerts(message.alerts),
                        retrying.lasts(now).as_secs()
                    );
                    return false;
                }
            }
        }
    }

    pub(super) async fn attempt(&mut self, message: &Message) -> Verdict {
        let receiver = &self.receiver;
        self.pace.sent(Instant::now());
        let request = receiver.request(message, now_utc());
        match self.transport.post(request).await {
            Ok(answer) => judge(receiver.kind, &answer, &receiver.discretion),
            Err(why) => Verdict::Wait { named: None, why },
        }
    }

    /// An alert that its receiver does not get is in the log at least.
    pub(super) fn log_lost(&self, notices: &[Notice]) {
        for notice in notices {
            let label = &self.receiver.label;
            log::log!(
                notice.level(),
                "alert, not sent to {label}: {}",
                notice.line()
            );
        }
    }

    fn sent(&mut self, message: &Message) {
        self.refusals = Refusals::default();
        log::info!("{} took {}", self.receiver.label, alerts(message.alerts));
    }

    /// A person must do something: it is said once, and again when an hour is over.
    pub(super) fn refused(&mut self, count: usize, why: &str, remedy: &str) {
        let level = match self.refusals.is_news(why) {
            true => log::Level::Error,
            false => log::Level::Debug,
        };
        log::log!(
            level,
            "{} refuses {}, which is not tried again: {why}; {remedy}",
            self.receiver.label,
            alerts(count)
        );
    }

    pub(super) fn taken_again(&mut self) {
        self.refusals = Refusals::default();
    }
}

/// `1 alert`, `2 alerts`.
pub(super) fn alerts(count: usize) -> String {
    format!("{count} alert{}", if count == 1 { "" } else { "s" })
}

/// Calls this when it is dropped.
fn scopeguard(call: impl FnOnce()) -> impl Drop {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(call) = self.0.take() {
                call();
            }
        }
    }
    Guard(Some(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_said_once_an_hour_for_each_cause() {
        let mut refusals = Refusals::default();
        assert!(refusals.is_news("a"));
        assert!(!refusals.is_news("a"));
        assert!(refusals.is_news("b"));
        tokio::time::sleep(SAID_AGAIN).await;
        assert!(refusals.is_news("b"));
    }
}
