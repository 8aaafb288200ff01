//! The buttons "pause" and "resume", of whatever can be paused.

use actix_web::HttpResponse;

use super::answer::Answer;
use super::order::Order;
use super::visit::{Form, Visit};
use crate::http::guard::Orderer;
use crate::http::pausing::give;
use crate::http::unknown::Named;
use crate::orders::{PauseKind, Wish};
use crate::state::view::PauseView;

/// That a thing is paused.
pub(super) struct PauseNote {
    pub(super) text: String,
    pub(super) since_ms: i64,
    /// Where the order is listed.
    pub(super) audit: String,
}

fn is_of_all(pause: &PauseView) -> bool {
    pause.what == PauseKind::All.describe("")
}

impl Visit {
    /// The pause that holds of a thing, its own or that of everything.
    pub(super) fn pause_of(&self, kind: PauseKind, name: &str) -> Option<PauseView> {
        let pauses = self.config.state.pauses.lock();
        let (own, all) = (kind.describe(name), PauseKind::All.describe(""));
        let its = |what: &str| pauses.iter().find(|pause| pause.what == what).cloned();
        its(&own).or_else(|| its(&all))
    }

    /// The button that pauses a thing, or resumes it.
    pub(super) fn pause_order(&self, kind: PauseKind, name: &str) -> Order {
        match self.pause_of(kind, name) {
            None => {
                let named = [("kind", kind.column()), ("name", name)];
                Order::new("/pause", self.t.pause(), &named)
            }
            Some(pause) => self.resume_order(&pause, kind, name),
        }
    }

    /// What rests with everything else goes on with that: an order about it alone would change nothing.
    fn resume_order(&self, pause: &PauseView, kind: PauseKind, name: &str) -> Order {
        let (label, kind, name) = match is_of_all(pause) {
            true => (self.t.resume_everything(), PauseKind::All, ""),
            false => (self.t.resume(), kind, name),
        };
        Order::new("/resume", label, &[("kind", kind.column()), ("name", name)])
    }

    /// The button that ends the pause of this target, while that holds. `name` is the cron entry's.
    pub(super) fn resume_order_of(&self, target: &str, name: &str) -> Option<Order> {
        let pauses = self.config.state.pauses.lock();
        let pause = pauses.iter().find(|pause| pause.what == target)?.clone();
        drop(pauses);
        Some(self.resume_order(&pause, PauseKind::Cron, name))
    }

    /// The pause that holds of a thing, in words.
    pub(super) fn pause_note(&self, kind: PauseKind, name: &str) -> Option<PauseNote> {
        let pause = self.pause_of(kind, name)?;
        let who = &pause.ordered_by;
        Some(PauseNote {
            text: match is_of_all(&pause) {
                true => self.t.paused_with_all_by(who),
                false => self.t.paused_by(who),
            },
            since_ms: pause.since_ms,
            audit: self.link("/audit", &[("action", "pause"), ("q", &pause.what)]),
        })
    }

    /// A row of the audit, as the first of its page.
    pub(super) fn audit_link(&self, id: i64) -> String {
        let before = id.saturating_add(1).to_string();
        let page = self.link("/audit", &[("before", &before)]);
        format!("{page}#audit-{id}")
    }

    fn described(&self, kind: PauseKind, name: &str) -> String {
        match kind {
            PauseKind::All => self.t.everything().to_owned(),
            PauseKind::Queue => self.t.queue_named(name),
            PauseKind::Cron => self.t.cron_named(name),
            PauseKind::Delay => self.t.delay_queue().to_owned(),
        }
    }
}

pub(super) async fn pause(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    order(&visit, &form, Wish::Paused, orderer).await
}

pub(super) async fn resume(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    order(&visit, &form, Wish::Resumed, orderer).await
}

async fn order(visit: &Visit, form: &Form, wish: Wish, orderer: Orderer) -> HttpResponse {
    let answer = answer(visit, form, wish, orderer).await;
    visit.answer(form, answer)
}

async fn answer(visit: &Visit, form: &Form, wish: Wish, orderer: Orderer) -> Answer {
    let (t, state) = (visit.t, &visit.config.state);
    let Some(kind) = PauseKind::of_column(form.get("kind")) else {
        return Answer::failed(t.unknown_order().to_owned());
    };
    let name = form.get("name");
    let unknown = match kind {
        PauseKind::All | PauseKind::Delay if name.is_empty() => None,
        PauseKind::All | PauseKind::Delay => Some(t.nothing_called(name)),
        PauseKind::Queue if state.queue(name).is_some() => None,
        PauseKind::Queue => Some(visit.nothing_called(Named::Queue, name)),
        PauseKind::Cron if state.cron().iter().any(|entry| entry.facts().name == name) => None,
        PauseKind::Cron => Some(visit.nothing_called(Named::Cron, name)),
    };
    if let Some(why) = unknown {
        return Answer::failed(why);
    }
    let what = visit.described(kind, name);
    match (give(&visit.config, kind, name, wish, orderer).await, wish) {
        (Ok(true), Wish::Paused) => Answer::done(t.is_paused_now(what)),
        (Ok(true), Wish::Resumed) => Answer::done(t.is_resumed_now(what)),
        (Ok(false), Wish::Paused) => Answer::done(t.was_paused_before(what)),
        (Ok(false), Wish::Resumed) => Answer::done(t.was_not_paused(what)),
        (Err(not_done), _) => t.not_done(not_done, |cause| t.not_written(cause)),
    }
}
