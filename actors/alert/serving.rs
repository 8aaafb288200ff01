//! The task of one receiver: gathers its waiting alerts, keeps to its pace, tries until it has taken the message.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Notice;
use super::client::Transport;
use super::delivery::Delivered;
use super::pace::Pace;
use super::receiver::{Message, Receiver};
use super::retrying::{LONGEST_NAMED, Retrying};
use super::verdict::{Cause, Verdict, judge};
use super::waiting::Waiting;
use crate::clock::now_utc;

/// Alerts that come together go together.
pub(super) const GATHER: Duration = Duration::from_millis(500);
/// Time after which a refusal that repeats is logged again.
const LOGGED_AGAIN: Duration = Duration::from_secs(3600);

/// A message that is refused for what is in it is halved until this many refusals in a row: ten find one alert among 500, and
/// a receiver that refuses everything is not called much longer.
const MOST_REFUSALS: usize = 16;

/// Serves it for ever.
pub(super) async fn serve(
    receiver: Arc<Receiver>,
    waiting: Waiting,
    transport: Arc<dyn Transport>,
) {
    let mut serving = Serving::new(receiver, waiting, transport);
    serving.give_up_abandoned();
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

/// What became of one message.
enum Brought {
    Taken,
    Refused {
        why: String,
        remedy: &'static str,
        cause: Cause,
    },
    GivenUp,
    /// The daemon stops.
    CutShort,
}

/// The last refusal that the log has.
#[derive(Default)]
struct Refusals(Option<(String, Instant)>);

impl Refusals {
    /// Whether it is to be logged.
    fn is_news(&mut self, why: &str) -> bool {
        let known = self.0.as_ref();
        let is_known =
            known.is_some_and(|(logged, at)| logged == why && at.elapsed() < LOGGED_AGAIN);
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

    /// Those that a task which died had on their way: what it died over would end this one too.
    fn give_up_abandoned(&self) {
        let abandoned = self.waiting.under_way();
        self.log_lost(&abandoned);
        self.waiting
            .decided(abandoned.len(), Delivered::NotEverywhere);
    }

    /// One message of the waiting alerts.
    async fn one(&mut self) {
        self.waiting.pause(GATHER).await;
        if !self.turn().await {
            // What the limit has no room for is left to the end of the stop, which logs it.
            std::future::pending::<()>().await;
        }
        let (notices, left_out) = self.waiting.all();
        if notices.is_empty() {
            return;
        }
        let message = self.receiver.message(&notices, left_out, now_utc());
        let notices = &notices[..message.alerts];
        self.waiting.set_out(notices.len(), left_out);
        self.deliver(notices, left_out, message).await;
    }

    /// Until the limits of the receiver let a message through. A stop waits for none of them, but keeps that of a minute: what
    /// goes beyond it is refused, and the next daemon's messages with it.
    async fn turn(&self) -> bool {
        let now = Instant::now();
        let next = self.pace.next(now, now_utc(), fastrand::f64());
        self.waiting.pause(next - now).await;
        !self.waiting.is_closing() || self.pace.has_room(Instant::now())
    }

    /// Brings a message over. One that is refused for what is in it is tried again in two halves, so that an alert takes no
    /// other one with it.
    async fn deliver(&mut self, notices: &[Arc<Notice>], left_out: usize, message: Message) {
        let mut message = Some(message);
        let mut parts: Vec<Range<usize>> = std::iter::once(0..notices.len()).collect();
        let mut refusals = 0;
        while let Some(part) = parts.pop() {
            let of_part = &notices[part.clone()];
            let first_left_out = if part.start == 0 { left_out } else { 0 };
            let message = message
                .take()
                .unwrap_or_else(|| self.receiver.message(of_part, first_left_out, now_utc()));
            let end = part.start + message.alerts;
            if end < part.end {
                parts.push(end..part.end);
            }
            let (part, of_part) = (part.start..end, &of_part[..message.alerts]);
            let outcome = match self.bring(&message).await {
                Brought::Taken => {
                    refusals = 0;
                    Delivered::Everywhere
                }
                Brought::Refused { why, remedy, cause } => {
                    refusals += 1;
                    let is_halved = cause == Cause::Content && part.len() > 1;
                    if is_halved && refusals <= MOST_REFUSALS && !self.waiting.is_closing() {
                        let middle = part.start + part.len() / 2;
                        parts.extend([middle..part.end, part.start..middle]);
                        continue;
                    }
                    self.refused(part.len(), &why, remedy);
                    Delivered::NotEverywhere
                }
                Brought::GivenUp => Delivered::NotEverywhere,
                Brought::CutShort => Delivered::CutShort,
            };
            if outcome != Delivered::Everywhere {
                self.log_lost(of_part);
            }
            self.waiting.decided(part.len(), outcome);
        }
    }

    /// Tries until the message is taken or given up.
    async fn bring(&mut self, message: &Message) -> Brought {
        if !self.turn().await {
            return Brought::CutShort;
        }
        let mut retrying = Retrying::new(Instant::now());
        loop {
            let was_closing = self.waiting.is_closing();
            let (named, why) = match self.attempt(message).await {
                Verdict::Sent => {
                    self.sent(message);
                    return Brought::Taken;
                }
                Verdict::Refused { why, remedy, cause } => {
                    return Brought::Refused { why, remedy, cause };
                }
                Verdict::Wait { named, why } => (named, why),
            };
            let now = Instant::now();
            let pause = retrying.failed(now, named, fastrand::f64());
            if let Some(named) = named {
                // For the messages after this one too, even where this one is given up.
                self.pace.hold(now, named.min(LONGEST_NAMED));
            }
            match pause.filter(|_| !was_closing) {
                Some(pause) => {
                    log::debug!(
                        "{} takes no alert now, tried again in {pause:?}: {why}",
                        self.receiver.label
                    );
                    self.waiting.pause(pause).await;
                    if !self.turn().await {
                        return Brought::CutShort;
                    }
                }
                None => {
                    log::error!(
                        "{}: {} not sent, tried for {} s: {why}",
                        self.receiver.label,
                        alerts(message.alerts),
                        retrying.lasts(now).as_secs()
                    );
                    return match was_closing {
                        true => Brought::CutShort,
                        false => Brought::GivenUp,
                    };
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
    pub(super) fn log_lost(&self, notices: &[Arc<Notice>]) {
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

    /// A person must do something: it is logged once, and again when an hour is over.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_reported_once_an_hour_for_each_cause() {
        let mut refusals = Refusals::default();
        assert!(refusals.is_news("a"));
        assert!(!refusals.is_news("a"));
        assert!(refusals.is_news("b"));
        tokio::time::sleep(LOGGED_AGAIN).await;
        assert!(refusals.is_news("b"));
    }
}
