//! Pings: calls of a dead man's switch, which reports outside that something has not happened.
//!
//! As healthchecks.io has them: the address itself for success, `/start`, `/fail`, `/N` with an exit status; a body
//! explains more. Those of one address go out in their order, and those of others do not wait for them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::Answer;
use super::client::{Request, Transport};
use super::courier::Courier;
use super::discretion::Discretion;
use super::tail::Output;
use crate::config::Secret;
use crate::task::caught;

/// Pauses between the tries of one ping; after the last one it is given up.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// More pings do not wait for one address.
const MOST_WAITING: usize = 20;
/// Calls of one host at once, and of all: a thousand entries that fire together open no thousand connections, and a host that
/// hangs leaves room for the others.
const AT_ONCE_EACH_HOST: usize = 16;
const AT_ONCE: usize = 128;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Success,
    Fail,
    /// A process ended with this status, which is not 0.
    Exit(i32),
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Ping {
    pub(crate) url: Secret,
    pub(crate) event: Event,
    /// Whose it is, for the log: "cron `report`".
    pub(crate) of: String,
    /// Distinguishes the start of a run and its end from those of others.
    pub(crate) run: Option<String>,
    /// What goes along, in words.
    pub(crate) text: String,
    /// Its last lines go along too.
    pub(crate) output: Option<Output>,
}

/// Sends pings.
#[derive(Clone)]
pub(crate) struct Pinger(Arc<Inner>);

struct Inner {
    courier: Courier,
    /// This machine's name, which no log repeats from an answer.
    host: String,
    lines: Mutex<HashMap<String, Line>>,
    /// By the host.
    calls: Mutex<HashMap<String, Arc<Semaphore>>>,
    all_calls: Semaphore,
    undecided: watch::Sender<usize>,
}

/// What waits for one address.
#[derive(Default)]
struct Line {
    pings: VecDeque<Ping>,
    is_served: bool,
    /// The last one was not taken, which is logged.
    is_failing: bool,
}

impl Line {
    /// Which ping is dropped where too many wait: a start, which matters least, or else the oldest.
    fn least(&mut self) -> Option<Ping> {
        let start = self.pings.iter().position(|it| it.event == Event::Start);
        self.pings.remove(start.unwrap_or(0))
    }
}

impl Pinger {
    pub(crate) fn new(courier: &Courier, host: String) -> Self {
        Self(Arc::new(Inner {
            courier: courier.clone(),
            host,
            lines: Mutex::default(),
            calls: Mutex::default(),
            all_calls: Semaphore::new(AT_ONCE),
            undecided: watch::Sender::new(0),
        }))
    }

    /// For tests of what sends none.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self::new(&Courier::default(), String::new())
    }

    /// Never waits, and never fails.
    pub(crate) fn send(&self, ping: Ping) {
        let url = ping.url.expose().to_owned();
        let mut lines = self.0.lines.lock();
        let line = lines.entry(url.clone()).or_default();
        if line.pings.len() >= MOST_WAITING
            && let Some(least) = line.least()
        {
            log::debug!(
                "too many pings wait: {:?} of {} is left out",
                least.event,
                least.of
            );
            self.decided(1);
        }
        line.pings.push_back(ping);
        let is_served = std::mem::replace(&mut line.is_served, true);
        drop(lines);
        self.0.undecided.send_modify(|undecided| *undecided += 1);
        if !is_served {
            let (pinger, transport) = (self.clone(), self.0.courier.transport());
            let served = url.clone();
            let is_served = self.0.courier.spawn(async move {
                pinger.serve(&served, transport.as_ref()).await;
            });
            if !is_served {
                // The missing thread is logged; a stop must not wait for it.
                let line = self.0.lines.lock().remove(&url).unwrap_or_default();
                self.decided(line.pings.len());
            }
        }
    }

    /// Waits for those that are on their way, until then at the latest.
    pub(crate) async fn finish(&self, until: Instant) {
        let mut undecided = self.0.undecided.subscribe();
        let all = undecided.wait_for(|undecided| *undecided == 0);
        let _ = timeout_at(until, all).await;
        let left = *self.0.undecided.borrow();
        if left > 0 {
            log::warn!("{left} pings were not sent before the stop");
        }
    }

    /// All that waits for the address.
    async fn serve(&self, url: &str, transport: &dyn Transport) {
        while let Some(ping) = self.next(url) {
            let result = caught(self.bring(&ping, transport)).await;
            let failure = result
                .unwrap_or_else(|panic| Err(Failure::passing(panic)))
                .err();
            self.note(url, &ping, failure);
            self.decided(1);
        }
    }

    fn next(&self, url: &str) -> Option<Ping> {
        let mut lines = self.0.lines.lock();
        let line = lines.get_mut(url)?;
        let ping = line.pings.pop_front();
        if ping.is_none() {
            line.is_served = false;
            if !line.is_failing {
                lines.remove(url);
            }
        }
        ping
    }

    async fn bring(&self, ping: &Ping, transport: &dyn Transport) -> Result<(), Failure> {
        let calls = self.calls_of(ping.url.expose());
        let discretion = Discretion::new(ping.url.expose(), &[], &self.0.host);
        let mut text = None;
        let mut pauses = PAUSES.into_iter();
        loop {
            // One that waits for its host keeps no other host from its turn. Nothing closes them.
            let permits = (calls.acquire().await, self.0.all_calls.acquire().await);
            let body = match &text {
                Some(text) => String::clone(text),
                None => text.insert(body(ping).await).clone(),
            };
            let request = Request {
                url: called(ping),
                headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
                body: body.into_bytes(),
            };
            let answer = transport.post(request).await;
            drop(permits);
            let failure = match answer {
                Ok(answer) => match judge(&answer, &discretion) {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Err(why) => Failure::passing(why),
            };
            // That it has begun is of no use once it has ended.
            let is_late = ping.event == Event::Start && self.has_ended(ping);
            match pauses.next().filter(|_| failure.is_passing && !is_late) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    /// Whether the end of the same run waits behind its start.
    fn has_ended(&self, start: &Ping) -> bool {
        let lines = self.0.lines.lock();
        let line = lines.get(start.url.expose());
        line.is_some_and(|line| {
            let mut pings = line.pings.iter();
            pings.any(|ping| ping.run == start.run && ping.event != Event::Start)
        })
    }

    /// Of the host of an address.
    fn calls_of(&self, url: &str) -> Arc<Semaphore> {
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(|url| {
            let port = url.port_or_known_default().unwrap_or_default();
            Some(format!("{}:{port}", url.host_str()?))
        });
        let mut calls = self.0.calls.lock();
        let calls = calls.entry(host.unwrap_or_default());
        Arc::clone(calls.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_EACH_HOST))))
    }

    /// One outage is two lines.
    fn note(&self, url: &str, ping: &Ping, failure: Option<Failure>) {
        let mut lines = self.0.lines.lock();
        let line = lines.entry(url.to_owned()).or_default();
        let was_failing = std::mem::replace(&mut line.is_failing, failure.is_some());
        drop(lines);
        match failure {
            Some(failure) if !was_failing => {
                log::warn!("{}: its ping is not taken: {}", ping.of, failure.why);
            }
            Some(failure) => log::debug!("{}: its ping is not taken: {}", ping.of, failure.why),
            None if was_failing => log::info!("{}: its pings are taken again", ping.of),
            None => {}
        }
    }

    fn decided(&self, count: usize) {
        self.0
            .undecided
            .send_modify(|undecided| *undecided = undecided.saturating_sub(count));
    }
}

/// Why a ping did not arrive.
struct Failure {
    why: String,
    is_passing: bool,
}

impl Failure {
    fn passing(why: String) -> Self {
        Self {
            why,
            is_passing: true,
        }
    }
}

/// healthchecks.io answers 200 with words for an address that it does not know.
fn judge(answer: &Answer, discretion: &Discretion) -> Result<(), Failure> {
    let body = answer.body.trim();
    let why = |remedy| format!("HTTP {}, {}{remedy}", answer.status, discretion.show(body));
    match answer.status {
        200..300 if body == "OK (not found)" => Err(Failure {
            why: why("; there is no such check: copy its address into `ping` again"),
            is_passing: false,
        }),
        200..300 if body == "OK (rate limited)" => Err(Failure {
            why: why("; it is called too often: not more than five times a minute"),
            is_passing: false,
        }),
        200..300 => Ok(()),
        408 | 425 | 429 | 500.. => Err(Failure::passing(why(""))),
        _ => Err(Failure {
            why: why("; `ping` must be the address of a check that takes POST"),
            is_passing: false,
        }),
    }
}

/// The address with what has happened.
fn called(ping: &Ping) -> String {
    let Ok(mut url) = Url::parse(ping.url.expose()) else {
        return ping.url.expose().to_owned();
    };
    let event = match ping.event {
        Event::Success => String::new(),
        Event::Start => "/start".to_owned(),
        Event::Fail => "/fail".to_owned(),
        Event::Exit(status) => format!("/{status}"),
    };
    if !event.is_empty() {
        let path = format!("{}{event}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    if let Some(run) = &ping.run {
        url.query_pairs_mut().append_pair("rid", run);
    }
    url.into()
}

async fn body(ping: &Ping) -> String {
    let mut text = ping.text.clone();
    if let Some(output) = ping.output.clone() {
        let read = tokio::task::spawn_blocking(move || output.tail()).await;
        let lines = read.ok().and_then(Result::ok).unwrap_or_default();
        if !lines.is_empty() {
            text.push_str("\n\n");
            text.push_str(&lines);
        }
    }
    text
}

#[cfg(test)]
mod tests;
