//! Dead letters: pages of them, groups of the same error, and one of them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Refused, id, limit, query, read};
use super::audit::next;
use super::shown::Shown;
use crate::clock::now_ms;
use crate::http::routes::From;
use crate::operations::{Refusal, moment_or_ago};
use crate::orders::dead::{Group, Meant, Size, groups as groups_of};
use crate::store::Reader;
use crate::store::browse::{self, DeadLetterLine, DeadLetterOpened, DeadLettersAsked, Reach};
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};
use crate::store::rows::{DeadLetterFilter, SCANNED_LETTERS, Side};

/// Bytes of a payload, and of a key, that an answer holds.
const PAYLOAD_BYTES: u32 = 64 << 10;

/// Dead letters that are all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) exec_cmd: Option<String>,
    /// A duration before now, or a time.
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    /// In the error.
    pub(super) error: Option<String>,
}

impl Filter {
    pub(super) fn read(&self) -> Result<DeadLetterFilter, Refused> {
        let time = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => moment_or_ago(text)
                .map(Some)
                .map_err(|why| Refused::bad(format!("`{name}`: {why}"))),
        };
        let kind = match self.kind.as_deref() {
            None => None,
            Some("table") => Some(KIND_TABLE.to_owned()),
            Some(kind @ (KIND_TABLE | "redis" | "kafka" | KIND_DELAY)) => Some(kind.to_owned()),
            Some(kind) => {
                return Err(Refused::bad(format!(
                    "`kind` is `{kind}`; it can be `queue`, `redis`, `kafka` or `delay`"
                )));
            }
        };
        Ok(DeadLetterFilter {
            name: self.name.clone(),
            kind,
            exec_cmd: self.exec_cmd.clone(),
            since_ms: time("since", &self.since)?,
            until_ms: time("until", &self.until)?,
            error: self.error.clone(),
            ..DeadLetterFilter::default()
        })
    }
}

/// With the group of that name, if one is named.
pub(super) async fn with_group(
    reader: &dyn Reader,
    meant: Meant,
    group: Option<String>,
) -> Result<Meant, Refusal> {
    let found = meant.with_group(reader, group).await?;
    found.map_err(Refusal::Unknown)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    name: Option<String>,
    kind: Option<String>,
    exec_cmd: Option<String>,
    since: Option<String>,
    until: Option<String>,
    error: Option<String>,
    group: Option<String>,
    limit: Option<u32>,
    before: Option<i64>,
}

impl Query {
    // A query has no parts of its own kind, as `serde(flatten)` would read numbers in it as text.
    fn filter(&self) -> Result<DeadLetterFilter, Refused> {
        let filter = Filter {
            name: self.name.clone(),
            kind: self.kind.clone(),
            exec_cmd: self.exec_cmd.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            error: self.error.clone(),
        };
        filter.read()
    }
}

#[derive(Serialize)]
struct Page {
    #[serde(rename = "letters")]
    dead_letters: Vec<Line>,
    /// `before` of the next page; none behind the last one. A page may be short, even empty, and have a next one: no
    /// page reads more dead letters than it has time for.
    next: Option<i64>,
}

/// A dead letter without what may be large.
#[derive(Serialize)]
struct Line {
    id: i64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    /// As `groups` names it.
    group: String,
    error: String,
    attempts: i32,
    partition: String,
    first_ms: i64,
    died_ms: i64,
    payload_bytes: u64,
}

impl std::convert::From<DeadLetterLine> for Line {
    fn from(line: DeadLetterLine) -> Self {
        let head = line.head;
        Self {
            group: Group::of(&head).name(),
            id: head.id,
            kind: head.kind,
            source: head.source,
            name: head.name,
            exec_cmd: head.exec_cmd,
            original_id: line.original_id,
            error: head.error,
            attempts: line.attempts,
            partition: head.partition,
            first_ms: line.first_ms,
            died_ms: head.died_ms,
            payload_bytes: line.payload_bytes,
        }
    }
}

/// The newest first.
pub(super) async fn dead_letters(from: From, request: HttpRequest) -> Answer {
    let asked: Query = query(&request)?;
    let (filter, rows) = (asked.filter()?, limit(asked.limit)?);
    let reader = from.config.db.reader();
    let meant = Meant {
        filter,
        ..Meant::default()
    };
    let page = read(async {
        let meant = with_group(reader, meant, asked.group).await?;
        let asked = DeadLettersAsked {
            filter: meant.filter.clone(),
            before: asked.before,
            ..DeadLettersAsked::default()
        };
        let keeps = |line: &DeadLetterLine| meant.takes(&line.head);
        let page = browse::dead_letters(reader, asked, keeps, Reach::page(rows)).await?;
        Ok::<_, Refusal>(page)
    });
    let page = page.await?;
    Ok(HttpResponse::Ok().json(Page {
        dead_letters: page.rows.into_iter().map(Line::from).collect(),
        next: next(page.next),
    }))
}

/// All of a dead letter but the end of a large payload.
#[derive(Serialize)]
struct DeadLetter {
    #[serde(flatten)]
    line: Line,
    /// The first [`PAYLOAD_BYTES`].
    payload: Shown,
    key: Option<Shown>,
    key_bytes: u64,
    /// Pairs, as a name may stand there twice.
    headers: Vec<(String, Shown)>,
    /// Only the beginning of the payload was kept when it died: it cannot run again, but with another payload.
    is_cut: bool,
}

impl std::convert::From<DeadLetterOpened> for DeadLetter {
    fn from(mut dead_letter: DeadLetterOpened) -> Self {
        let payload = std::mem::take(&mut dead_letter.line.payload);
        let headers = dead_letter.headers.into_iter();
        Self {
            line: dead_letter.line.into(),
            payload: Shown::beginning(&payload),
            key: dead_letter.key.map(|key| Shown::beginning(&key)),
            key_bytes: dead_letter.key_bytes,
            headers: headers
                .map(|(name, value)| (name, Shown::of(&value)))
                .collect(),
            is_cut: dead_letter.is_cut,
        }
    }
}

pub(super) async fn dead_letter(from: From, path: web::Path<String>) -> Answer {
    let id = id("dead letter", &path)?;
    let dead_letter = read(from.config.db.reader().dead_letter(id, PAYLOAD_BYTES)).await?;
    let dead_letter =
        dead_letter.ok_or_else(|| Refused::unknown(format!("there is no dead letter {id}")))?;
    Ok(HttpResponse::Ok().json(DeadLetter::from(dead_letter)))
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<Shape>,
    /// Whether there are dead letters that were not read, at the other end of the table.
    at_least: bool,
}

/// Dead letters that died in one place of the same error.
#[derive(Serialize)]
struct Shape {
    group: String,
    #[serde(rename = "letters")]
    dead_letters: u64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    error: String,
    first_ms: i64,
    last_ms: i64,
}

impl std::convert::From<(Group, Size)> for Shape {
    fn from((group, size): (Group, Size)) -> Self {
        Self {
            group: group.name(),
            dead_letters: size.dead_letters,
            kind: group.kind,
            source: group.source,
            name: group.entry,
            exec_cmd: group.exec_cmd,
            error: group.shape,
            first_ms: size.first_ms,
            last_ms: size.last_ms,
        }
    }
}

/// The largest first.
pub(super) async fn groups(from: From, request: HttpRequest) -> Answer {
    let asked: Query = query(&request)?;
    if asked.group.is_some() || asked.before.is_some() {
        return Err(Refused::bad("`group` and `before` are for `/api/v1/dead`"));
    }
    let (filter, rows) = (asked.filter()?, limit(asked.limit)?);
    let side = Side::of(&filter);
    let scan = from
        .config
        .db
        .reader()
        .dead_letter_scan(side, SCANNED_LETTERS);
    let mut scan = read(scan).await?;
    scan.dead_letters
        .retain(|dead_letter| filter.takes(dead_letter));
    let groups = groups_of(&scan.dead_letters, now_ms()).into_iter();
    let groups = groups.take(usize::try_from(rows).unwrap_or(usize::MAX));
    Ok(HttpResponse::Ok().json(Groups {
        groups: groups.map(Shape::from).collect(),
        at_least: !scan.is_all,
    }))
}
