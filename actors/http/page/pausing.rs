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
        let (to, label) = match self.pause_of(kind, name) {
            None => ("/pause", self.t.pause()),
            Some(_) => ("/resume", self.t.resume()),
        };
        Order::new(to, label, &[("kind", kind.column()), ("name", name)])
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
