//! Who ordered what, when, and what came of it.

use actix_web::HttpResponse;
use askama::Template;

use super::delay::More;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::payload::in_line;
use super::rows::MOST_LINES;
use super::visit::Visit;
use crate::store::browse::{self, AuditAsked, AuditLine, Reach};
use crate::store::truncate::{Plain, audited};

/// Seconds between two refreshes.
const REFRESH: u32 = 15;

/// What to type, where nobody has ordered anything.
const EXAMPLE: &str = "cargo run -- queue pause NAME";

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    t: Language,
    who: String,
    action: String,
    q: String,
    is_filtered: bool,
    rows: Vec<AuditRow>,
    more: More,
    example: &'static str,
}

/// An order, in a list.
pub(super) struct AuditRow {
    pub(super) id: i64,
    pub(super) at_ms: i64,
    pub(super) who: String,
    pub(super) action: String,
    /// The word for it, where that is another one.
    pub(super) action_word: Option<&'static str>,
    pub(super) target: String,
    pub(super) result: String,
    /// As the table has them: a search goes by these words.
    pub(super) target_column: String,
    pub(super) result_column: String,
}

impl AuditRow {
    pub(super) fn of(t: Language, line: AuditLine) -> Self {
        // The columns have no more, if nobody has altered them.
        let shown = |text: &str| audited(text, Plain::AsItIs);
        let (target_column, result_column) = (shown(&line.target), shown(&line.result));
        Self {
            id: line.id,
            at_ms: line.at_ms,
            who: in_line(line.ordered_by.as_bytes()),
            action: in_line(line.action.as_bytes()),
            action_word: t.audit_action(&line.action),
            target: t.audit_target(&target_column),
            result: t.audit_result(&result_column),
            target_column,
            result_column,
        }
    }
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let text = |key: &str| visit.get(key).map(str::to_owned);
    let asked = AuditAsked {
        environment: visit.config.state.identity.environment.clone(),
        who: text("who"),
        action: text("action"),
        text: text("q"),
        before: visit.get("before").and_then(|id| id.parse().ok()),
    };
    let reach = Reach::page(u32::try_from(MOST_LINES).unwrap_or(u32::MAX));
    let found = browse::audits(visit.config.db.reader(), asked, |_| true, reach).await;
    let page = match found {
        Ok(page) => page,
        Err(cause) => return visit.fault(Tab::Audit, &cause),
    };
    let mut frame = visit.frame(Tab::Audit, visit.t.tab_audit());
    frame.refresh = REFRESH;
    let field = |key: &str| visit.get(key).unwrap_or_default().to_owned();
    visit.show(&AuditPage {
        frame,
        t: visit.t,
        who: field("who"),
        action: field("action"),
        q: field("q"),
        is_filtered: ["who", "action", "q", "before"]
            .iter()
            .any(|key| visit.get(key).is_some()),
        more: visit.more("before", &page.next, i64::to_string),
        rows: page
            .rows
            .into_iter()
            .map(|line| AuditRow::of(visit.t, line))
            .collect(),
        example: EXAMPLE,
    })
}
