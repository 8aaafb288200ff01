//! The delay queue: waiting tasks by when they are due, and single tasks.

use actix_web::HttpResponse;
use askama::Template;

use super::bars::{Count, Drawing, sum};
use super::format::{capped, known};
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::pausing::PauseNote;
use super::payload::in_line;
use super::rows::MOST_LINES;
use super::visit::Visit;
use crate::clock::now_ms;
use crate::orders::PauseKind;
use crate::store::DbError;
use crate::store::browse::{self, Bar, Bars, Next, Reach, TaskLine, TaskPlace, TasksAsked};
use crate::store::task_orders::TaskStatus;

/// The words for the statuses in the query, the first one where it has none.
const STATUSES: [(TaskStatus, &str); 4] = [
    (TaskStatus::Waiting, "waiting"),
    (TaskStatus::Running, "running"),
    (TaskStatus::Done, "done"),
    (TaskStatus::Failed, "failed"),
];

/// Seconds between two refreshes: the bars are counted anew each time.
const REFRESH: u32 = 15;

/// What to type, where nothing waits.
const EXAMPLE: &str = "cargo run -- push delay_test --params Bob --delay-time 600";

#[derive(Template)]
#[template(path = "delay.html")]
struct DelayPage {
    frame: Frame,
    t: Language,
    pause: Option<PauseNote>,
    orders: Vec<Order>,
    waiting: String,
    running: usize,
    overdue: Option<String>,
    drawings: Vec<Drawing>,
    later: Option<String>,
    statuses: Vec<Choice>,
    q: String,
    name: String,
    cmd: String,
    is_filtered: bool,
    /// The task whose id is searched for.
    by_id: Option<TaskRow>,
    rows: Vec<TaskRow>,
    more: More,
    /// The tasks that are listed may be ordered.
    waits: bool,
    example: &'static str,
    fault: Option<String>,
}

/// One value of a field that has a few.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) is_chosen: bool,
}

/// What comes behind the lines of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct More {
    /// Where it goes on.
    pub(super) link: Option<String>,
    /// The time was over, and there may be more.
    pub(super) is_cut: bool,
    /// This is not the first page: where that is.
    pub(super) first: Option<String>,
}

impl Visit {
    /// The links below a list whose places are in `key` of the query.
    pub(super) fn more<P>(
        &self,
        key: &'static str,
        next: &Next<P>,
        place: impl Fn(&P) -> String,
    ) -> More {
        let to = |value: &str| format!("{}{}", self.place.base, self.with(&[(key, value)]));
        More {
            link: match next {
                Next::End => None,
                Next::More(at) | Next::Unknown(at) => Some(to(&place(at))),
            },
            is_cut: matches!(next, Next::Unknown(_)),
            first: self.get(key).map(|_| to("")),
        }
    }
}

/// A task in a list.
pub(super) struct TaskRow {
    pub(super) id: i64,
    pub(super) link: String,
    pub(super) due_ms: i64,
    pub(super) due: String,
    pub(super) name: String,
    pub(super) exec_cmd: String,
    pub(super) params: String,
    pub(super) result: String,
    pub(super) owner: String,
    pub(super) attempts: i32,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let (t, now) = (visit.t, now_ms());
    let reader = visit.config.db.reader();
    let asked = asked(&visit);
    let bars = browse::bars(reader, now.div_euclid(1000)).await;
    let listed = listed(&visit, asked.clone(), now).await;
    let mut fault = None;
    let bars = bars.map_err(|cause| fault = Some(t.not_read(cause))).ok();
    let (by_id, rows, more) = listed.unwrap_or_else(|cause| {
        fault = Some(t.not_read(cause));
        (None, Vec::new(), More::default())
    });
    let mut frame = visit.frame(Tab::Delay, t.tab_delay());
    frame.refresh = REFRESH;
    let view = visit.config.state.delay.view();
    let field = |key: &str| visit.get(key).unwrap_or_default().to_owned();
    visit.show(&DelayPage {
        frame,
        t,
        pause: visit.pause_note(PauseKind::Delay, ""),
        orders: vec![visit.pause_order(PauseKind::Delay, "")],
        waiting: known(view.waiting.map(capped)),
        running: view.running_count,
        overdue: bars.as_ref().and_then(|bars| filled(bars.overdue)),
        later: bars.as_ref().and_then(|bars| filled(bars.later)),
        drawings: bars.map(|bars| drawings(t, &bars)).unwrap_or_default(),
        statuses: statuses(t, asked.status),
        q: field("q"),
        name: field("name"),
        cmd: field("cmd"),
        is_filtered: ["q", "name", "cmd", "after"]
            .iter()
            .any(|key| visit.get(key).is_some()),
        by_id,
        rows,
        more,
        waits: asked.status == TaskStatus::Waiting,
        example: EXAMPLE,
        fault,
    })
}

fn asked(visit: &Visit) -> TasksAsked {
    let text = |key: &str| visit.get(key).map(str::to_owned);
    let status = visit.get("status");
    let status = STATUSES.iter().find(|(_, word)| Some(*word) == status);
    TasksAsked {
        name: text("name"),
        exec_cmd: text("cmd"),
        text: text("q"),
        after: visit.get("after").and_then(place),
        ..TasksAsked::of(status.map_or(TaskStatus::Waiting, |(status, _)| *status))
    }
}

/// `second.id`; what is none is the beginning.
fn place(text: &str) -> Option<TaskPlace> {
    let (second, id) = text.split_once('.')?;
    Some(TaskPlace {
        second: second.parse().ok()?,
        id: id.parse().ok()?,
    })
}

async fn listed(
    visit: &Visit,
    asked: TasksAsked,
    now: i64,
) -> Result<(Option<TaskRow>, Vec<TaskRow>, More), DbError> {
    let reader = visit.config.db.reader();
    // An id is in no text; it is found by itself.
    let id = asked.text.as_deref().and_then(|text| text.parse().ok());
    let by_id = match id.filter(|_| asked.after.is_none()) {
        Some(id) => reader.task_rows(vec![id]).await?.pop(),
        None => None,
    };
    let by_id = by_id.map(|row| TaskLine {
        id: row.id,
        name: row.name,
        exec_cmd: row.exec_cmd,
        params: row.params,
        result: row.result,
        second: 0,
        due_ms: row.due_ms,
        owner: row.owner,
        attempts: row.attempts,
    });
    let reach = Reach::page(u32::try_from(MOST_LINES).unwrap_or(u32::MAX));
    let page = browse::tasks(reader, asked, reach).await?;
    let more = visit.more("after", &page.next, |at| format!("{}.{}", at.second, at.id));
    let row = |line| row(visit, line, now);
    Ok((
        by_id.map(row),
        page.rows.into_iter().map(row).collect(),
        more,
    ))
}

fn row(visit: &Visit, line: TaskLine, now: i64) -> TaskRow {
    TaskRow {
        id: line.id,
        link: visit.link("/task", &[("id", &line.id.to_string())]),
        due_ms: line.due_ms,
        due: match line.due_ms > now {
            true => visit.t.until(line.due_ms, now),
            false => visit.t.ago(line.due_ms, now),
        },
        name: in_line(line.name.as_bytes()),
        exec_cmd: in_line(line.exec_cmd.as_bytes()),
        params: in_line(line.params.as_bytes()),
        result: in_line(line.result.as_bytes()),
        owner: line.owner,
        attempts: line.attempts,
    }
}

fn statuses(t: Language, chosen: TaskStatus) -> Vec<Choice> {
    let choice = |(status, value): &(TaskStatus, &'static str)| Choice {
        value,
        label: t.task_status(*status),
        is_chosen: *status == chosen,
    };
    STATUSES.iter().map(choice).collect()
}

impl Language {
    pub(super) const fn task_status(self, status: TaskStatus) -> &'static str {
        match status {
            TaskStatus::Waiting => self.waiting(),
            TaskStatus::Running => self.running(),
            TaskStatus::Done => self.task_done(),
            TaskStatus::Failed => self.failed_or_cancelled(),
        }
    }
}

/// How many, where there is one.
fn filled(bar: Bar) -> Option<String> {
    let count = Count {
        n: bar.tasks,
        is_cut: bar.is_cut(),
        when: String::new(),
    };
    (bar.tasks > 0).then(|| sum(&[count]))
}

fn drawings(t: Language, bars: &Bars) -> Vec<Drawing> {
    let each = [
        (&bars.minutes, t.next_hour()),
        (&bars.hours, t.next_day()),
        (&bars.days, t.next_weeks()),
    ];
    let drawing = |(bars, label): (&Vec<Bar>, &str)| {
        let from = bars.first().map_or(0, |bar| bar.span.from_s);
        let to = bars.last().map_or(0, |bar| bar.span.to_s);
        let when = |second: i64| t.ahead_by(t.age((second - from) * 1000));
        let count = |bar: &Bar| Count {
            n: bar.tasks,
            is_cut: bar.is_cut(),
            when: when(bar.span.from_s),
        };
        let counts: Vec<Count> = bars.iter().map(count).collect();
        let label = format!("{label}: {}", sum(&counts));
        Drawing::of(&counts, (t.due_now().to_owned(), when(to)), label)
    };
    each.into_iter().map(drawing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_is_two_numbers_or_its_beginning() {
        let at = TaskPlace { second: 17, id: -4 };
        assert_eq!(place("17.-4"), Some(at));
        for wrong in ["", "17", "a.b", "1.2.3", "<script>"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
