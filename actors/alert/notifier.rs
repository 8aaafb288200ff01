//! Hands alerts over to all receivers of this environment.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::client::Transport;
use super::courier::Courier;
use super::delivery::{Delivery, delivery};
use super::receiver::{Receiver, trial};
use super::verdict::{Verdict, judge};
use super::waiting::{Put, Waiting};
use super::{Notice, NoticeKind, Origin};
use super::{alertmanager, serving};
use crate::clock::now_utc;
use crate::config::{AlertSettings, Environment, WebhookKind};
use crate::task::restart_on_panic;

/// The one place that alerts go to.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Inner>);

struct Inner {
    receivers: Vec<Inbox>,
    /// Why an alert is sent to nobody.
    nobody: String,
    /// Its thread serves them.
    _courier: Courier,
}

/// A receiver of this environment.
struct Inbox {
    label: String,
    kind: WebhookKind,
    waiting: Waiting,
}

impl Inbox {
    /// An Alertmanager gets states, which a count is not.
    fn takes(&self, notice: &Notice) -> bool {
        self.kind != WebhookKind::Alertmanager || notice.kind != NoticeKind::Count
    }
}

impl Notifier {
    /// A task for each receiver of this environment.
    pub(crate) fn start(settings: &AlertSettings, origin: Origin, courier: &Courier) -> Self {
        let environment = origin.environment;
        let all = settings.webhooks.iter().enumerate();
        let here = all.filter(|(_, webhook)| webhook.is_for(environment));
        let receivers = here.filter_map(|(index, webhook)| {
            let receiver = Receiver::new(index, webhook, &origin);
            serve(receiver, courier)
        });
        let receivers: Vec<Inbox> = receivers.collect();
        if !receivers.is_empty() {
            let labels: Vec<&str> = receivers.iter().map(|inbox| inbox.label.as_str()).collect();
            log::info!("alerts are sent to {}", labels.join(", "));
        } else if !settings.webhooks.is_empty() {
            log::info!("alerts are logged, and {}", nobody(settings, environment));
        }
        Self(Arc::new(Inner {
            nobody: nobody(settings, environment),
            receivers,
            _courier: courier.clone(),
        }))
    }

    /// For tests of what raises none.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        let origin = Origin {
            environment: Environment::Dev,
            partition: String::new(),
            host: String::new(),
            version: "",
        };
        Self::start(&AlertSettings::default(), origin, &Courier::default())
    }

    /// Whether a receiver takes counts that reached their limit.
    pub(crate) fn takes_counts(&self) -> bool {
        let mut all = self.0.receivers.iter();
        all.any(|inbox| inbox.kind != WebhookKind::Alertmanager)
    }

    /// Hands it to each receiver, or writes it into the log where there is none. Never waits, and never fails. Whoever must
    /// know when it has arrived waits for the delivery; nobody has to.
    pub(crate) fn notify(&self, notice: Notice) -> Delivery {
        let receivers = self.0.receivers.iter();
        let receivers: Vec<&Inbox> = receivers.filter(|inbox| inbox.takes(&notice)).collect();
        let (delivery, receipts) = delivery(receivers.len());
        if receivers.is_empty() {
            log::log!(
                notice.level(),
                "alert, {}: {}",
                self.nobody(),
                notice.line()
            );
        }
        let notice = Arc::new(notice);
        for (inbox, receipt) in receivers.into_iter().zip(receipts) {
            match inbox.waiting.put(Arc::clone(&notice), receipt) {
                Put::Waits => {}
                Put::Full => log::error!(
                    "too many alerts wait for {}; those that come now are in the log only: {}",
                    inbox.label,
                    notice.line()
                ),
                Put::StillFull => log::log!(
                    notice.level(),
                    "alert, not sent to {}: {}",
                    inbox.label,
                    notice.line()
                ),
            }
        }
        delivery
    }

    /// Why an alert that no receiver takes is sent to nobody.
    pub(super) fn nobody(&self) -> &str {
        match self.0.receivers.is_empty() {
            true => &self.0.nobody,
            // All of them are Alertmanagers: see `Inbox::takes`.
            false => "sent to nobody, as no receiver of this environment takes counts",
        }
    }

    /// The daemon stops: waiting alerts are tried once more, by then at the latest.
    pub(crate) async fn finish(&self, until: Instant) {
        let each = self.0.receivers.iter().map(|inbox| async {
            let left = inbox.waiting.finish(until).await;
            if !left.is_empty() {
                log::warn!(
                    "{}: {} not sent before the stop",
                    inbox.label,
                    serving::alerts(left.len())
                );
                for notice in left {
                    log::log!(
                        notice.level(),
                        "alert, not sent to {}: {}",
                        inbox.label,
                        notice.line()
                    );
                }
            }
        });
        join_all(each).await;
    }
}

/// None where the courier has no thread: then the log gets the alerts.
fn serve(receiver: Receiver, courier: &Courier) -> Option<Inbox> {
    let receiver = Arc::new(receiver);
    let waiting = Waiting::new();
    let inbox = Inbox {
        label: receiver.label.clone(),
        kind: receiver.kind,
        waiting: waiting.clone(),
    };
    let transport = courier.transport();
    let is_served = courier.spawn(serve_always(receiver, waiting, transport));
    is_served.then_some(inbox)
}

/// A receiver's task, which goes on after a panic.
pub(super) async fn serve_always(
    receiver: Arc<Receiver>,
    waiting: Waiting,
    transport: Arc<dyn Transport>,
) {
    let what = format!("the task of {}", receiver.label);
    // What fires must be sent again after a panic as before it.
    let states = tokio::sync::Mutex::<alertmanager::States>::default();
    restart_on_panic(&what, || async {
        let (receiver, waiting) = (Arc::clone(&receiver), waiting.clone());
        let transport = Arc::clone(&transport);
        match receiver.kind {
            WebhookKind::Alertmanager => {
                let mut states = states.lock().await;
                alertmanager::serve(receiver, waiting, transport, &mut states).await;
            }
            _ => serving::serve(receiver, waiting, transport).await,
        }
    })
    .await;
}

fn nobody(settings: &AlertSettings, environment: Environment) -> String {
    match settings.webhooks.is_empty() {
        true => "sent to nobody, as `alert.webhooks` names no receiver".to_owned(),
        false if settings.webhooks.iter().any(|it| it.is_for(environment)) => {
            "sent to nobody, as the thread that sends them did not start".to_owned()
        }
        false => format!("sent to nobody, as no receiver of `alert.webhooks` is for {environment}"),
    }
}

/// What a receiver did with a message of a test.
pub(crate) struct Tested {
    /// Where in the settings it is, and its kind.
    pub(crate) label: String,
    /// In words.
    pub(crate) answer: String,
    pub(crate) is_taken: bool,
    /// Why it gets no alerts from here, if it does not.
    pub(crate) not_here: Option<String>,
}

/// Sends one message to each receiver, at once, and tries no second time.
pub(crate) async fn test_each(settings: &AlertSettings, origin: &Origin) -> Vec<Tested> {
    let courier = Courier::default();
    let transport = courier.transport();
    let each = settings
        .webhooks
        .iter()
        .enumerate()
        .map(|(index, webhook)| {
            let receiver = Receiver::new(index, webhook, origin);
            let environment = origin.environment;
            let names: Vec<&str> = webhook.environments.iter().map(|e| e.name()).collect();
            let not_here = (!webhook.is_for(environment)).then(|| {
                format!(
                    "the daemon sends it nothing in {environment}, its `environments` are {}",
                    names.join(", ")
                )
            });
            test(receiver, Arc::clone(&transport), not_here)
        });
    join_all(each).await
}

async fn test(
    receiver: Receiver,
    transport: Arc<dyn Transport>,
    not_here: Option<String>,
) -> Tested {
    let now = now_utc();
    let trial = trial(now);
    let message = match receiver.kind {
        WebhookKind::Alertmanager => {
            let mut states = alertmanager::States::default();
            states.learn(&Arc::new(trial));
            Receiver::json_message(&states.body(&receiver.origin, now), 1)
        }
        _ => receiver.message(&[Arc::new(trial)], 0, now),
    };
    let verdict = match transport.post(receiver.request(&message, now)).await {
        Ok(answer) => judge(receiver.kind, &answer, &receiver.discretion),
        Err(why) => Verdict::Wait { named: None, why },
    };
    let (is_taken, answer) = match verdict {
        Verdict::Sent => (true, "took the message".to_owned()),
        Verdict::Wait { named, why } => {
            let pause = named.map(|named| format!("; it asks to wait {} s", named.as_secs()));
            (
                false,
                format!("DID NOT TAKE IT: {why}{}", pause.unwrap_or_default()),
            )
        }
        Verdict::Refused { why, remedy, .. } => (false, format!("REFUSED IT: {why}; {remedy}")),
    };
    Tested {
        label: receiver.label,
        answer,
        is_taken,
        not_here,
    }
}
