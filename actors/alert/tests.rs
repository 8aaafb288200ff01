//! Receivers as they answer, hang and refuse, on a paused clock and against a server.

mod delivering;
mod over_http;
mod pacing;
mod resending;
mod signatures;
mod stopping;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use chrono::{TimeZone, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::answer::Answer;
use super::client::{Request, Transport};
use super::delivery::{Delivery, delivery};
use super::receiver::Receiver;
use super::waiting::{Put, Waiting};
use super::{Notice, NoticeKind, Origin, Severity};
use crate::config::{Environment, Secret, Webhook, WebhookKind};

/// What a fake receiver does with one message.
#[derive(Clone)]
enum Reply {
    Takes,
    Says(u16, &'static str),
    AsksFor(u64),
    BreaksOff,
    Hangs,
    Panics,
}

/// Records what is sent and when; gives the replies of the test, then takes everything.
struct Fake {
    kind: WebhookKind,
    begun: Instant,
    replies: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<Sent>>,
}

#[derive(Clone)]
struct Sent {
    /// Milliseconds after the start.
    at: u128,
    url: String,
    body: String,
}

impl Fake {
    fn new(kind: WebhookKind, replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            begun: Instant::now(),
            replies: Mutex::new(replies.into_iter().collect()),
            sent: Mutex::default(),
        })
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The seconds at which messages came.
    fn seconds(&self) -> Vec<u128> {
        self.sent().iter().map(|sent| sent.at / 1000).collect()
    }

    /// Serves the receiver of a kind by this.
    fn serve(self: &Arc<Self>) -> Waiting {
        serve(self.kind, Arc::<Self>::clone(self))
    }
}

fn serve(kind: WebhookKind, transport: Arc<dyn Transport>) -> Waiting {
    let waiting = Waiting::new();
    let receiver = Arc::new(receiver(kind, None));
    tokio::spawn(super::notifier::serve_always(
        receiver,
        waiting.clone(),
        transport,
    ));
    waiting
}

impl Waiting {
    /// An alert for this receiver alone.
    fn send(&self, notice: Notice) -> Put {
        self.send_watched(notice).0
    }

    fn send_watched(&self, notice: Notice) -> (Put, Delivery) {
        let (delivery, mut receipts) = delivery(1);
        let put = self.put(Arc::new(notice), receipts.remove(0));
        (put, delivery)
    }
}

impl Transport for Fake {
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>> {
        self.sent.lock().unwrap().push(Sent {
            at: self.begun.elapsed().as_millis(),
            url: request.url,
            body: String::from_utf8(request.body).unwrap(),
        });
        let reply = self.replies.lock().unwrap().pop_front();
        Box::pin(async move {
            match reply.unwrap_or(Reply::Takes) {
                Reply::Takes => Ok(taken(self.kind)),
                Reply::Says(status, body) => Ok(answer(status, None, body)),
                Reply::AsksFor(seconds) => Ok(answer(429, Some(seconds), "")),
                Reply::BreaksOff => Err("the connection broke".to_owned()),
                Reply::Hangs => std::future::pending().await,
                Reply::Panics => panic!("as the test wants"),
            }
        })
    }
}

fn answer(status: u16, retry_after: Option<u64>, body: &str) -> Answer {
    Answer {
        status,
        retry_after,
        body: body.to_owned(),
    }
}

/// The answer that means success.
fn success(kind: WebhookKind) -> &'static str {
    match kind {
        WebhookKind::Feishu => "{\"code\":0,\"msg\":\"success\"}",
        WebhookKind::WeCom | WebhookKind::DingTalk => "{\"errcode\":0,\"errmsg\":\"ok\"}",
        WebhookKind::Slack => "ok",
        WebhookKind::Json | WebhookKind::Alertmanager => "",
    }
}

fn taken(kind: WebhookKind) -> Answer {
    answer(200, None, success(kind))
}

const ALL: [WebhookKind; 6] = [
    WebhookKind::Feishu,
    WebhookKind::WeCom,
    WebhookKind::DingTalk,
    WebhookKind::Slack,
    WebhookKind::Json,
    WebhookKind::Alertmanager,
];

fn webhook(kind: WebhookKind, url: &str, secret: Option<&str>) -> Webhook {
    Webhook {
        url: Secret::new(url),
        kind,
        secret: secret.map(Secret::new),
        auth: None,
        environments: vec![Environment::Release],
    }
}

fn receiver(kind: WebhookKind, secret: Option<&str>) -> Receiver {
    let webhook = webhook(kind, "http://receiver.example/hook/t0ken?key=k3y", secret);
    Receiver::new(0, &webhook, &origin())
}

fn origin() -> Origin {
    Origin {
        environment: Environment::Release,
        partition: "script1".to_owned(),
        host: "this-host".to_owned(),
        version: "0.1.0",
    }
}

fn notice(n: usize) -> Notice {
    notice_of(NoticeKind::Firing, &n.to_string())
}

fn notice_of(kind: NoticeKind, subject: &str) -> Notice {
    let at = |minute| Utc.with_ymd_and_hms(2026, 11, 29, 8, minute, 0).unwrap();
    Notice {
        kind,
        rule: "lag".to_owned(),
        subject: subject.to_owned(),
        severity: Severity::Warning,
        summary: format!("alert-{subject}"),
        details: vec!["a detail".to_owned()],
        started_at: at(0),
        ended_at: (kind == NoticeKind::Resolved).then(|| at(5)),
    }
}
