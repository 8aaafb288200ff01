//! One queue: its hour, what runs, what failed, and its orders.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::answer::Answer;
use super::cron_entry::in_time;
use super::dead::{DeadLetterRow, row};
use super::dead_sources::kind_of;
use super::format::{count, known};
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::pausing::PauseNote;
use super::rows::QueueRow;
use super::visit::{Form, Visit, query};
use crate::clock::now_ms;
use crate::http::guard::Orderer;
use crate::http::unknown::Named;
use crate::orders::PauseKind;
use crate::state::view::{FailureView, QueueView};
use crate::state::{Distribution, QueueFacts};
use crate::store::DbError;
use crate::store::browse::{self, DeadLettersAsked, Reach};
use crate::store::rows::DeadLetterFilter;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    t: Language,
    row: QueueRow,
    view: QueueView,
    pause: Option<PauseNote>,
    orders: Vec<Order>,
    /// The hour as JSON, for the charts.
    history: String,
    lag_age: Option<String>,
    oldest: String,
    busy_since: Option<String>,
    counts: Vec<(&'static str, String)>,
    handler: Option<String>,
    waited: Option<String>,
    more_run: usize,
    dead: DeadOfQueue,
    now: i64,
}

/// Dead letters of one queue.
struct DeadOfQueue {
    all: String,
    /// That other entries show the same ones.
    shared: Option<String>,
    /// The list of these alone.
    link: String,
    rows: Vec<DeadLetterRow>,
    unknown: Option<String>,
}

/// Dead letters that are shown, the newest.
const MOST_DEAD_LETTERS: u32 = 5;
/// How many rows are searched for them: fewer than for a page of dead letters.
const DEAD_REACH: Reach = Reach {
    page: MOST_DEAD_LETTERS,
    step: 2000,
    time: Duration::from_millis(40),
};

#[derive(Template)]
#[template(path = "missing.html")]
struct MissingPage {
    frame: Frame,
    text: String,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let name = visit.get("name").unwrap_or_default();
    let Some(queue) = visit.config.state.queue(name) else {
        return visit.unnamed(Tab::Queues, Named::Queue, name);
    };
    let troubles = visit.troubles().await;
    let (view, now) = (queue.view(), now_ms());
    let dead = visit.dead_of_queue(&view.facts).await;
    let mut frame = visit.frame(Tab::Queues, name);
    frame.has_charts = true;
    let named = [("name", name)];
    visit.show(&QueuePage {
        frame,
        t,
        row: visit.queue_row(&queue, &troubles),
        pause: visit.pause_note(PauseKind::Queue, name),
        orders: vec![
            visit.pause_order(PauseKind::Queue, name),
            Order::new("/queue/lag-check", t.check_lag_now(), &named),
        ],
        history: visit.link("/queue/history", &named),
        lag_age: view.lag_read_ms.map(|read| t.lag_read(t.ago(read, now))),
        oldest: known(view.oldest_age_ms.map(|ms| t.span(ms))),
        busy_since: view.busy_since_ms.map(|since| t.span(now - since)),
        counts: counts(t, &view),
        handler: spread(t, &view.counts.handler),
        waited: spread(t, &view.counts.waited),
        more_run: view.running_count - view.running.len().min(view.running_count),
        dead,
        now,
        view,
    })
}

impl Visit {
    /// As far as it looks: the list that its link leads to looks further.
    async fn dead_of_queue(&self, facts: &QueueFacts) -> DeadOfQueue {
        let (kind, source) = (kind_of(facts), facts.source.as_str());
        let filter = DeadLetterFilter {
            kind: Some(kind.to_owned()),
            source: Some(source.to_owned()),
            ..DeadLetterFilter::default()
        };
        let asked = DeadLettersAsked {
            filter,
            ..DeadLettersAsked::default()
        };
        let reader = self.config.db.reader();
        let found = in_time(browse::dead_letters(reader, asked, |_| true, DEAD_REACH)).await;
        let (rows, unknown) = match found {
            Ok(found) => (found.rows, None),
            Err(cause) => (Vec::new(), Some(self.t.not_read(cause))),
        };
        DeadOfQueue {
            all: known(self.dead_letters_of(facts)),
            shared: self.shared_note(facts),
            link: self.link("/dead", &[("kind", kind), ("source", source)]),
            rows: rows.into_iter().map(|line| row(self, line)).collect(),
            unknown,
        }
    }
}

/// The hour of a queue, as the JSON interface has it; here by a query, as the name may be anything.
pub(super) async fn history(visit: Visit) -> HttpResponse {
    let name = visit.get("name").unwrap_or_default();
    match visit.config.state.queue_history(name) {
        Some(history) => HttpResponse::Ok().json(history),
        None => Named::Queue.not_found(&visit.config, name),
    }
}

pub(super) async fn check_lag(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let (t, name) = (visit.t, form.get("name"));
    let answer = if visit.config.state.queue(name).is_none() {
        Answer::failed(visit.nothing_called(Named::Queue, name))
    } else if visit.config.pools.check_lag(name) {
        log::info!("queue `{name}`: LagCheck, ordered by {}", orderer.who);
        Answer::done(t.lag_is_checked().to_owned())
    } else {
        Answer::failed(t.pool_is_starting().to_owned())
    };
    visit.answer(&form, answer)
}

fn counts(t: Language, view: &QueueView) -> Vec<(&'static str, String)> {
    let counts = &view.counts;
    let shown = [
        (t.completed(), counts.completed),
        (t.retried(), counts.retried),
        (t.dead_lettered(), counts.dead_lettered),
        (t.released(), counts.released),
        (t.errors(), counts.errors),
        (t.timeouts(), counts.timeouts),
        (t.panics(), counts.panics),
    ];
    shown.map(|(label, n)| (label, count(n))).to_vec()
}

/// How long half and almost all took at most; none where there are none.
fn spread(t: Language, of: &Distribution) -> Option<String> {
    let (half, most) = (of.quantile(0.5)?, of.quantile(0.99)?);
    Some(t.half_and_most(t.seconds(half), t.seconds(most)))
}

impl QueuePage {
    fn cause(&self, failure: &FailureView) -> &'static str {
        use crate::state::FailureCause::{Error, Panic, Timeout};
        match failure.cause {
            Error => self.t.cause_error(),
            Timeout => self.t.cause_timeout(),
            Panic => self.t.cause_panic(),
        }
    }

    /// The dead letters of the message that failed, if it has become one.
    fn dead_link(&self, failure: &FailureView) -> String {
        format!(
            "{}&{}",
            self.dead.link,
            query(&[("id", &failure.id)]).trim_start_matches('?')
        )
    }
}

impl Visit {
    /// That no entry has that name, and which one was probably meant.
    pub(super) fn nothing_called(&self, named: Named, name: &str) -> String {
        let mut text = self.t.nothing_called(name);
        if let Some(meant) = named.meant(&self.config, name) {
            text.push_str(&self.t.did_you_mean(meant));
        }
        text
    }

    /// The page of an entry that there is not.
    pub(super) fn unnamed(&self, tab: Tab, named: Named, name: &str) -> HttpResponse {
        self.gone(tab, self.nothing_called(named, name))
    }

    /// Nothing has that name.
    pub(super) fn missing(&self, tab: Tab, name: &str) -> HttpResponse {
        self.gone(tab, self.t.nothing_called(name))
    }

    /// What was asked for is not there; `text` explains it.
    pub(super) fn gone(&self, tab: Tab, text: String) -> HttpResponse {
        self.sorry(StatusCode::NOT_FOUND, tab, text)
    }

    /// The database did not answer what a page is about.
    pub(super) fn fault(&self, tab: Tab, cause: &DbError) -> HttpResponse {
        let text = self.t.not_read(cause);
        self.sorry(StatusCode::SERVICE_UNAVAILABLE, tab, text)
    }

    pub(super) fn sorry(&self, status: StatusCode, tab: Tab, text: String) -> HttpResponse {
        let page = MissingPage {
            frame: self.frame(tab, &text),
            text,
        };
        self.show_as(status, &page)
    }
}
