//! All queues, a line each.

use actix_web::HttpResponse;
use askama::Template;

use super::frame::{Frame, Tab};
use super::language::Language;
use super::now::QUEUE_EXAMPLE;
use super::rows::{Part, QueueRow};
use super::visit::Visit;

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    t: Language,
    part: Part<QueueRow>,
    q: String,
    only_trouble: bool,
    file: String,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let troubles = visit.troubles().await;
    let found = visit.found_queues(&troubles);
    let all = visit.config.state.queues().len();
    visit.show(&QueuesPage {
        frame: visit.frame(Tab::Queues, visit.t.tab_queues()),
        t: visit.t,
        part: visit.part(all, &found, |queue| visit.queue_row(queue, &troubles)),
        q: visit.get("q").unwrap_or_default().to_owned(),
        only_trouble: visit.is_set("trouble"),
        file: visit.queue_file(),
    })
}

impl Visit {
    /// Where queues are configured.
    pub(super) fn queue_file(&self) -> String {
        format!("etc/queue_{}.json", self.config.state.identity.partition)
    }
}
