//! Dead letters, the newest first.

use bytes::Bytes;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::by_id::ById;
use super::sql::{Sql, Words};
use super::{Browse, Page, Reach, Rows, search};
use crate::store::dead_letter::is_cut;
use crate::store::error::DbError;
use crate::store::headers;
use crate::store::rows::{DeadLetterFilter, DeadLetterHead};

/// Bytes of a payload that a list shows.
const SHOWN_BYTES: u32 = 200;
/// Bytes of a payload in which a text is searched for.
const SEARCHED_BYTES: u32 = 4096;

/// Which dead letters are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeadLettersAsked {
    /// Its `ids` say nothing here.
    pub(crate) filter: DeadLetterFilter,
    /// In the first `SEARCHED_BYTES` of the payload, byte for byte.
    pub(crate) payload: Option<String>,
    /// What it was before it died: for a delayed task, the id of its row.
    pub(crate) original_id: Option<String>,
    /// Older than this id.
    pub(crate) before: Option<i64>,
}

impl DeadLettersAsked {
    pub(in crate::store) fn is_filtered(&self) -> bool {
        self.filter != DeadLetterFilter::default()
            || self.payload.is_some()
            || self.original_id.is_some()
    }
}

/// A dead letter with the beginning of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterLine {
    pub(crate) head: DeadLetterHead,
    pub(crate) original_id: String,
    pub(crate) attempts: i32,
    pub(crate) first_ms: i64,
    pub(crate) payload: Vec<u8>,
    pub(crate) payload_bytes: u64,
}

/// A dead letter as its own page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterOpened {
    pub(crate) line: DeadLetterLine,
    /// The beginning of its key, if it has one.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) key_bytes: u64,
    pub(crate) headers: Vec<(String, Bytes)>,
    /// Only the beginning of the payload was kept: run again, it would be another message.
    pub(crate) is_cut: bool,
}

/// `keeps` leaves out dead letters that the filter cannot distinguish, as those of another group.
pub(crate) async fn dead_letters(
    reader: &(impl Browse + ?Sized),
    asked: DeadLettersAsked,
    keeps: impl Fn(&DeadLetterLine) -> bool,
    reach: Reach,
) -> Result<Page<DeadLetterLine, i64>, DbError> {
    let step = async |before, rows| {
        let asked = DeadLettersAsked {
            before,
            ..asked.clone()
        };
        reader.dead_letter_step(asked, rows).await
    };
    search(reach, asked.before, |line| line.head.id, keeps, step).await
}

#[derive(QueryableByName)]
pub(in crate::store) struct RawDeadLetter {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    exec_cmd: String,
    #[diesel(sql_type = Text)]
    original_id: String,
    #[diesel(sql_type = Text)]
    error: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Text)]
    partition_name: String,
    #[diesel(sql_type = BigInt)]
    first_ms: i64,
    #[diesel(sql_type = BigInt)]
    died_ms: i64,
    #[diesel(sql_type = Binary)]
    payload: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    payload_bytes: i64,
}

impl RawDeadLetter {
    pub(in crate::store) fn read(self) -> DeadLetterLine {
        DeadLetterLine {
            head: DeadLetterHead {
                id: self.id,
                kind: self.kind,
                source: self.source,
                name: self.name,
                exec_cmd: self.exec_cmd,
                partition: self.partition_name,
                error: self.error,
                died_ms: self.died_ms,
            },
            original_id: self.original_id,
            attempts: self.attempts,
            first_ms: self.first_ms,
            payload: self.payload,
            payload_bytes: u64::try_from(self.payload_bytes).unwrap_or(0),
        }
    }
}

#[derive(QueryableByName)]
pub(in crate::store) struct RawOpened {
    #[diesel(embed)]
    line: RawDeadLetter,
    #[diesel(sql_type = Nullable<Binary>)]
    msg_key: Option<Vec<u8>>,
    #[diesel(sql_type = BigInt)]
    key_bytes: i64,
    #[diesel(sql_type = Nullable<Text>)]
    headers: Option<String>,
}

impl RawOpened {
    pub(in crate::store) fn read(self) -> DeadLetterOpened {
        DeadLetterOpened {
            line: self.line.read(),
            key: self.msg_key,
            key_bytes: u64::try_from(self.key_bytes).unwrap_or(0),
            is_cut: is_cut(self.headers.as_deref()),
            headers: headers::decode(self.headers.as_deref()),
        }
    }
}

#[derive(QueryableByName)]
pub(in crate::store) struct RawId {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) id: i64,
}

fn columns(words: Words, bytes: u32) -> String {
    format!(
        "id, kind, source, name, exec_cmd, original_id, error, attempts, partition_name, first_ms, died_ms,
         substr(payload, 1, {bytes}) AS payload, {} AS payload_bytes",
        (words.int8)("length(payload)")
    )
}

fn by_id(words: Words, asked: &DeadLettersAsked) -> ById {
    ById {
        words,
        table: "dead_letter",
        before: asked.before,
    }
}

/// The last dead letter of the step, from the primary key alone.
pub(in crate::store) fn edge(words: Words, asked: &DeadLettersAsked, rows: Rows) -> Sql {
    by_id(words, asked).edge(rows)
}

/// The dead letters of the step that are asked for.
pub(in crate::store) fn rows(
    words: Words,
    asked: &DeadLettersAsked,
    edge: Option<i64>,
    rows: Rows,
) -> Sql {
    let DeadLettersAsked {
        filter,
        payload,
        original_id,
        ..
    } = asked;
    by_id(words, asked).rows(&columns(words, SHOWN_BYTES), edge, rows, |sql| {
        if let Some(since_ms) = filter.since_ms {
            sql.push(&format!(" AND died_ms >= {since_ms}"));
        }
        if let Some(until_ms) = filter.until_ms {
            sql.push(&format!(" AND died_ms < {until_ms}"));
        }
        sql.is("kind", filter.kind.as_ref())
            .is("source", filter.source.as_ref())
            .is("name", filter.name.as_ref())
            .is("exec_cmd", filter.exec_cmd.as_ref())
            .is("original_id", original_id.as_ref())
            .has(&["error"], filter.error.as_ref())
            .like("error", filter.error_like.as_ref())
            .has_bytes(
                &format!("substr(payload, 1, {SEARCHED_BYTES})"),
                payload.as_ref(),
            );
    })
}

/// One dead letter.
pub(in crate::store) fn opened(words: Words, id: i64, bytes: u32) -> Sql {
    let columns = columns(words, bytes);
    let key_bytes = (words.int8)("COALESCE(length(msg_key), 0)");
    Sql::new(
        words,
        &format!(
            "SELECT {columns}, substr(msg_key, 1, {bytes}) AS msg_key, {key_bytes} AS key_bytes, headers
             FROM dead_letter WHERE id = {id}"
        ),
    )
}
