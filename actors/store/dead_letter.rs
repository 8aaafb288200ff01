//! Dead letters as they come out of the table, and what is done with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serializer;
use serde::ser::SerializeMap;

/// Which dead letters are meant: those that are all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeadLetterFilter {
    /// None: whatever its id. No more than a statement takes.
    pub(crate) ids: Vec<i64>,
    /// The queue entry, or the name a delayed task was pushed with.
    pub(crate) name: Option<String>,
    /// `queue`, `redis`, `kafka` or `delay`.
    pub(crate) kind: Option<String>,
    pub(crate) exec_cmd: Option<String>,
    /// Died then or later, unix milliseconds.
    pub(crate) since_ms: Option<i64>,
    /// Died before, unix milliseconds.
    pub(crate) until_ms: Option<i64>,
    /// Stands in the error, in letters of any case.
    pub(crate) error: Option<String>,
    /// The list, topic or table it came from.
    pub(crate) source: Option<String>,
    /// A pattern of `LIKE … ESCAPE '!'` that the error has. It takes more dead letters than are meant, and the caller
    /// filters again.
    pub(crate) error_like: Option<String>,
}

impl DeadLetterFilter {
    /// Whether a dead letter is of these, whatever its id: for one that was read.
    pub(crate) fn takes(&self, dead_letter: &DeadLetterHead) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let has = |wanted: &String| {
            let error = dead_letter.error.to_lowercase();
            error.contains(&wanted.to_lowercase())
        };
        is(&self.name, &dead_letter.name)
            && is(&self.kind, &dead_letter.kind)
            && is(&self.exec_cmd, &dead_letter.exec_cmd)
            && is(&self.source, &dead_letter.source)
            && self
                .since_ms
                .is_none_or(|since| since <= dead_letter.died_ms)
            && self
                .until_ms
                .is_none_or(|until| dead_letter.died_ms < until)
            && self.error.as_ref().is_none_or(has)
    }

    /// For `lower(error) LIKE lower(…) ESCAPE '!'`, which all databases understand alike.
    pub(crate) fn error_pattern(&self) -> Option<String> {
        let text = self.error.as_ref()?;
        let escaped = text
            .replace('!', "!!")
            .replace('%', "!%")
            .replace('_', "!_");
        Some(format!("%{escaped}%"))
    }
}

/// A dead letter, for people.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct DeadLetter {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) original_id: String,
    #[serde(serialize_with = "shown")]
    pub(crate) payload: Vec<u8>,
    #[serde(serialize_with = "shown_key")]
    pub(crate) key: Option<Vec<u8>>,
    #[serde(serialize_with = "shown_headers")]
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) error: String,
    pub(crate) attempts: i32,
    pub(crate) partition: String,
    pub(crate) first_ms: i64,
    pub(crate) died_ms: i64,
}

/// As much of a dead letter as decides what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterHead {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) partition: String,
    pub(crate) error: String,
    pub(crate) died_ms: i64,
}

/// Dead letters that one scan reads where no index knows what it searches for: as many as are read in 0.1 s.
pub(crate) const SCANNED_LETTERS: u32 = 20_000;

/// At which end of the table a scan begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Newest,
    Oldest,
}

impl Side {
    /// Where dead letters that pass the filter are to be expected.
    pub(crate) fn of(filter: &DeadLetterFilter) -> Self {
        match (filter.since_ms, filter.until_ms) {
            (None, Some(_)) => Self::Oldest,
            _ => Self::Newest,
        }
    }
}

/// What a scan of one end of the table found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterScan {
    pub(crate) dead_letters: Vec<DeadLetterHead>,
    /// No dead letter was left out of the scan.
    pub(crate) is_all: bool,
}

/// A dead letter that is to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) id: i64,
    pub(crate) to: ReplayTo,
    /// What it has from now on in place of its payload.
    pub(crate) payload: Option<Bytes>,
}

/// An order about dead letters. It is done a portion at a time, each in one transaction with the order's row of
/// `audit`, which counts the dead letters done so far: also that of a command that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterOrder {
    pub(crate) environment: String,
    pub(crate) ordered_by: String,
    /// The dead letters, for people.
    pub(crate) target: String,
    /// Its row, once there is one.
    pub(crate) row: Option<i64>,
    /// Dead letters of the portions before.
    pub(crate) before: usize,
}

impl DeadLetterOrder {
    /// As `audit.result` has it, with this portion.
    pub(in crate::store) fn result(&self, dead_letters: usize) -> String {
        match self.before + dead_letters {
            1 => "1 dead letter".to_owned(),
            n => format!("{n} dead letters"),
        }
    }
}

/// Where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplayTo {
    /// A new row of `queue_message` under this name, with the dead letter's payload, key, headers and first time; with
    /// its origin, where it did not die in a table.
    Queue(String),
    /// A new row of `delay_queue_log`, due now.
    DelayQueue,
}

/// Where a replayed message came from, when that was no table: it is known by that to its handler, and if it dies
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) id: String,
}

impl Origin {
    /// None for one that died in a table: a replay makes a new row, with an id of its own, and nothing keeps the old id.
    pub(crate) fn of(kind: &str, source: &str, id: &str) -> Option<Self> {
        (kind != KIND_TABLE).then(|| Self {
            kind: kind.to_owned(),
            source: source.to_owned(),
            id: id.to_owned(),
        })
    }

    /// For the column.
    pub(crate) fn encode(&self) -> String {
        serde_json::json!([self.kind, self.source, self.id]).to_string()
    }

    /// What `encode` wrote; text that it cannot have written is no origin.
    pub(crate) fn decode(text: Option<&str>) -> Option<Self> {
        let (kind, source, id) = serde_json::from_str(text?).ok()?;
        Some(Self { kind, source, id })
    }
}

/// `dead_letter.kind` of messages of `table` queues.
pub(crate) const KIND_TABLE: &str = "queue";
/// `dead_letter.kind` of delayed tasks.
pub(crate) const KIND_DELAY: &str = "delay";

/// Text is shown as it is; bytes that are no text as an object of another form, so that nothing is lost in between.
fn shown<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("base64", &STANDARD.encode(bytes))?;
            map.end()
        }
    }
}

struct Shown<'a>(&'a [u8]);

impl serde::Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown(self.0, serializer)
    }
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn shown_key<S: Serializer>(key: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(key) => shown(key, serializer),
        None => serializer.serialize_none(),
    }
}

/// Pairs, as a name may stand there twice.
fn shown_headers<S: Serializer>(
    headers: &[(String, Bytes)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.iter().map(|(name, value)| (name, Shown(value))))
}

/// The header of a dead letter of which only the beginning of the payload is kept: its value is how long that was.
const CUT: &str = "simplest_script-payload-bytes";

/// Marks a dead letter of which only the beginning of the payload is kept.
pub(in crate::store) fn cut_mark(bytes: usize) -> (String, Bytes) {
    (CUT.to_owned(), bytes.to_string().into())
}

/// The headers without the mark, for a dead letter that gets another payload.
pub(in crate::store) fn uncut(headers: Option<&str>) -> Option<String> {
    let mut headers = super::headers::decode(headers);
    headers.retain(|(name, _)| name != CUT);
    super::headers::encode(&headers)
}

/// Whether only the beginning of the payload is kept: run again, it would be another message.
pub(in crate::store) fn is_cut(headers: Option<&str>) -> bool {
    let headers = super::headers::decode(headers);
    headers.iter().any(|(name, _)| name == CUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_shown_without_loss() {
        let dead_letter = DeadLetter {
            id: 7,
            kind: "kafka".to_owned(),
            source: "clicks".to_owned(),
            name: "n".to_owned(),
            exec_cmd: "c".to_owned(),
            original_id: "clicks/0/3".to_owned(),
            payload: b"\xff\0".to_vec(),
            key: Some("测".into()),
            headers: vec![("h".to_owned(), Bytes::from_static(b"\xff"))],
            error: "e".to_owned(),
            attempts: 5,
            partition: "script1".to_owned(),
            first_ms: 1,
            died_ms: 2,
        };
        let shown = serde_json::to_value(&dead_letter).unwrap();
        assert_eq!(shown["payload"], serde_json::json!({"base64": "/wA="}));
        assert_eq!(shown["key"], "测");
        assert_eq!(
            shown["headers"],
            serde_json::json!([["h", {"base64": "/w=="}]])
        );
    }

    #[test]
    fn an_origin_comes_back_as_it_went() {
        let origin = Origin::of("kafka", "a\"b", "a/1/2").unwrap();
        assert_eq!(Origin::decode(Some(&origin.encode())), Some(origin));
        assert_eq!(Origin::of("queue", "t", "1"), None);
        assert_eq!(Origin::decode(Some("not ours")), None);
        assert_eq!(Origin::decode(None), None);
    }

    #[test]
    fn what_is_looked_for_in_an_error_is_text_and_no_pattern() {
        let filter = DeadLetterFilter {
            error: Some("50%_!".to_owned()),
            ..DeadLetterFilter::default()
        };
        assert_eq!(filter.error_pattern().unwrap(), "%50!%!_!!%");
        assert_eq!(DeadLetterFilter::default().error_pattern(), None);
    }
}
