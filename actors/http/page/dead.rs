//! Dead letters: groups of the same error first, then the dead letters themselves.

use actix_web::HttpResponse;
use askama::Template;

use super::bars::{Count, Drawing};
use super::dead_filter::Filter;
use super::dead_orders::JobRow;
use super::delay::{Choice, More};
use super::format::{capped, count, known};
use super::frame::{Frame, Tab};
use super::language::Language;
use super::payload::in_line;
use super::rows::MOST_LINES;
use super::visit::Visit;
use crate::clock::now_ms;
use crate::orders::dead::{Counted, Group, Meant, Size, groups};
use crate::store::DbError;
use crate::store::browse::{self, DeadLetterLine, DeadLettersAsked, Reach};
use crate::store::rows::{SCANNED_LETTERS, Side};

/// Groups that are shown, the largest.
const MOST_GROUPS: usize = 25;
/// Seconds between two refreshes: groups are made anew each time.
const REFRESH: u32 = 15;
/// What a dead letter is made by, where there is none.
const EXAMPLE: &str = "return Err(JobError::discard(\"no such order\"))";

#[derive(Template)]
#[template(path = "dead.html")]
struct DeadPage {
    frame: Frame,
    t: Language,
    amount: String,
    jobs: Vec<JobRow>,
    filter: Filter,
    kinds: Vec<Choice>,
    /// The group that is chosen.
    group: Option<GroupFacts>,
    groups: Option<Groups>,
    /// The dead letter whose own number is searched for: that, its page, and its error.
    by_id: Option<(i64, String, String)>,
    rows: Vec<DeadLetterRow>,
    more: More,
    /// Dead letters that an order for all that match would mean; none where that cannot be ordered.
    replay_all: Option<String>,
    purge_all: Option<String>,
    example: &'static str,
    fault: Option<String>,
}

/// What a group is.
pub(super) struct GroupFacts {
    pub(super) place: String,
    pub(super) error: String,
}

struct Groups {
    rows: Vec<GroupRow>,
    /// Groups that are not shown.
    more: usize,
    /// How many dead letters were read, where that is not all.
    of: Option<String>,
    matching: Counted,
    /// All there are, where all were read.
    all: Option<u64>,
}

struct GroupRow {
    link: String,
    place: String,
    error: String,
    dead_letters: String,
    first_ms: i64,
    last_ms: i64,
    day: Drawing,
}

pub(super) struct DeadLetterRow {
    pub(super) id: i64,
    pub(super) link: String,
    pub(super) died_ms: i64,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) exec_cmd: String,
    pub(super) error: String,
    pub(super) attempts: i32,
    pub(super) payload: String,
}

/// What was found.
#[derive(Default)]
struct Found {
    by_id: Option<(i64, String, String)>,
    group: Option<GroupFacts>,
    groups: Option<Groups>,
    /// Where the page counted them.
    matching: Option<Counted>,
    rows: Vec<DeadLetterRow>,
    more: More,
    fault: Option<String>,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let filter = Filter::of(&visit);
    let found = match &filter.fault {
        Some(fault) => Found {
            fault: Some(fault.clone()),
            ..Found::default()
        },
        None => found(&visit, &filter).await.unwrap_or_else(|cause| Found {
            fault: Some(t.not_read(cause)),
            ..Found::default()
        }),
    };
    let mut frame = visit.frame(Tab::Dead, t.tab_dead());
    frame.refresh = REFRESH;
    let order = |what: &str| visit.link("/dead/confirm", &filter.pairs(&[("do", what)]));
    let orders_all = found.fault.is_none() && !filter.needs_each_row() && !found.rows.is_empty();
    visit.show(&DeadPage {
        frame,
        t,
        amount: amount(&visit, &filter, &found),
        jobs: visit.dead_letter_jobs(),
        kinds: filter.kinds(t),
        replay_all: orders_all.then(|| order("replay")),
        purge_all: orders_all.then(|| order("purge")),
        group: found.group,
        groups: found.groups,
        by_id: found.by_id,
        rows: found.rows,
        more: found.more,
        filter,
        example: EXAMPLE,
        fault: found.fault,
    })
}

/// How many match the filter, and how many there are. The page's own count is used where it read all: the daemon counts
/// twice a minute, and right after an order its number is the one before.
fn amount(visit: &Visit, filter: &Filter, found: &Found) -> String {
    let read = found.groups.as_ref().and_then(|groups| groups.all);
    let all = read.or_else(|| *visit.config.state.dead_letters.lock());
    let all = known(all.map(capped));
    match found.matching {
        Some(matching) if filter.is_set() => {
            let at_least = if matching.is_all { "" } else { "+" };
            let n = format!("{}{at_least}", count(matching.dead_letters));
            visit.t.of_all(n, all)
        }
        _ => all,
    }
}

async fn found(visit: &Visit, filter: &Filter) -> Result<Found, DbError> {
    let (t, reader) = (visit.t, visit.config.db.reader());
    let meant = Meant {
        filter: filter.dead_letters.clone(),
        ..Meant::default()
    };
    let meant = match meant.with_group(reader, filter.group.clone()).await? {
        Ok(meant) => meant,
        Err(_) => {
            return Ok(Found {
                fault: Some(t.group_is_gone().to_owned()),
                ..Found::default()
            });
        }
    };
    let is_first = visit.get("before").is_none();
    let groups = match filter.group.is_none() && !filter.needs_each_row() && is_first {
        true => Some(all_groups(visit, filter).await?),
        false => None,
    };
    let asked = DeadLettersAsked {
        filter: meant.filter.clone(),
        payload: filter.payload.clone(),
        original_id: filter.original_id.clone(),
        before: visit.get("before").and_then(|id| id.parse().ok()),
    };
    let by_id = match filter.original_id().parse() {
        Ok(id) if is_first => of_number(visit, id).await?,
        _ => None,
    };
    let reach = Reach::page(u32::try_from(MOST_LINES).unwrap_or(u32::MAX));
    let page = browse::dead_letters(reader, asked, |line| meant.takes(&line.head), reach).await?;
    Ok(Found {
        group: meant.group.as_ref().map(|group| GroupFacts::of(t, group)),
        matching: groups.as_ref().map(|groups| groups.matching).or(meant.seen),
        groups,
        by_id,
        more: visit.more("before", &page.next, i64::to_string),
        rows: page.rows.into_iter().map(|line| row(visit, line)).collect(),
        fault: None,
    })
}

/// A number may be that of a dead letter as well as that of a message.
async fn of_number(visit: &Visit, id: i64) -> Result<Option<(i64, String, String)>, DbError> {
    let opened = visit.config.db.reader().dead_letter(id, 0).await?;
    let link = visit.link("/letter", &[("id", &id.to_string())]);
    Ok(opened.map(|opened| (id, link, in_line(opened.line.head.error.as_bytes()))))
}

impl GroupFacts {
    pub(super) fn of(t: Language, group: &Group) -> Self {
        let name = in_line(group.entry.as_bytes());
        let cmd = in_line(group.exec_cmd.as_bytes());
        Self {
            place: match name.is_empty() {
                true => t.task_of(cmd),
                false => t.queue_of(name, cmd),
            },
            error: in_line(group.shape.as_bytes()),
        }
    }
}

async fn all_groups(visit: &Visit, filter: &Filter) -> Result<Groups, DbError> {
    let (t, now) = (visit.t, now_ms());
    let side = Side::of(&filter.dead_letters);
    let mut scan = visit
        .config
        .db
        .reader()
        .dead_letter_scan(side, SCANNED_LETTERS)
        .await?;
    let number = u64::try_from(scan.dead_letters.len()).unwrap_or(u64::MAX);
    let all = scan.is_all.then_some(number);
    scan.dead_letters
        .retain(|dead_letter| filter.dead_letters.takes(dead_letter));
    let groups = groups(&scan.dead_letters, now);
    let shown = groups.iter().take(MOST_GROUPS);
    let at_least = if scan.is_all { "" } else { "+" };
    let row = |(group, size): &(Group, Size)| {
        let GroupFacts { place, error } = GroupFacts::of(t, group);
        let here = visit.with(&[("group", &group.name()), ("before", "")]);
        GroupRow {
            link: format!("{}{here}", visit.place.base),
            place,
            error,
            dead_letters: format!("{}{at_least}", count(size.dead_letters)),
            first_ms: size.first_ms,
            last_ms: size.last_ms,
            day: day(t, size),
        }
    };
    Ok(Groups {
        rows: shown.map(row).collect(),
        more: groups.len().saturating_sub(MOST_GROUPS),
        of: (!scan.is_all).then(|| count(u64::from(SCANNED_LETTERS))),
        matching: Counted {
            dead_letters: groups.iter().map(|(_, size)| size.dead_letters).sum(),
            is_all: scan.is_all,
        },
        all,
    })
}

/// A bar for each of the last 24 hours.
fn day(t: Language, size: &Size) -> Drawing {
    let hours = size.by_hour.len();
    let ago = |at: usize| {
        let hours = i64::try_from(hours - at).unwrap_or(0);
        t.before_now(t.age(hours * 3_600_000))
    };
    let one = |(at, n): (usize, &u64)| Count {
        n: *n,
        is_cut: false,
        when: ago(at),
    };
    let counts: Vec<Count> = size.by_hour.iter().enumerate().map(one).collect();
    let sum = size.by_hour.iter().sum();
    Drawing::of(
        &counts,
        (String::new(), String::new()),
        t.died_today(count(sum)),
    )
}

pub(super) fn row(visit: &Visit, line: DeadLetterLine) -> DeadLetterRow {
    let head = line.head;
    DeadLetterRow {
        id: head.id,
        link: visit.link("/letter", &[("id", &head.id.to_string())]),
        died_ms: head.died_ms,
        kind: in_line(visit.t.kind_word(&head.kind).as_bytes()),
        name: in_line(head.name.as_bytes()),
        exec_cmd: in_line(head.exec_cmd.as_bytes()),
        error: in_line(head.error.as_bytes()),
        attempts: line.attempts,
        payload: in_line(&line.payload),
    }
}
