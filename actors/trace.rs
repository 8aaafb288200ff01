//! W3C Trace Context: which trace a job belongs to, from the headers of its message to what its handler logs, pushes and sends.
//!
//! Nothing of a trace is made here but the beginning of one for each fire of cron: spans are the program's own. What
//! comes from outside is checked against the grammar before anything of it is kept, so what is logged and handed on is
//! hexadecimal digits and visible ASCII. A job without the header costs the check whether its message has headers at
//! all.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The names of the headers, of Kafka records and of the messages of `table` queues.
const PARENT_HEADER: &str = "traceparent";
const STATE_HEADER: &str = "tracestate";
/// The environment variables of processes.
pub(crate) const PARENT_VARIABLE: &str = "TRACEPARENT";
pub(crate) const STATE_VARIABLE: &str = "TRACESTATE";
/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const PARENT_CHARS: usize = 55;
/// Longer states are dropped: the specification wants at least this many handed on.
const MOST_STATE: usize = 512;

thread_local! {
    /// That of the handler which this thread runs at the moment.
    static CURRENT: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// A position in a trace, as the W3C header `traceparent` names it, with the `tracestate` beside it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    parent: String,
    state: Option<String>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.0.parent).finish()
    }
}

impl Trace {
    /// Of the texts of the two headers. `None` where `traceparent` is not right: the specification wants it ignored then. A
    /// `tracestate` that is not visible ASCII, or longer than 512 bytes, is left out.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let parent = parent(traceparent)?;
        let is_fit = |state: &&str| {
            (1..=MOST_STATE).contains(&state.len())
                && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        let state = tracestate.map(str::trim).filter(is_fit);
        Some(Self(Arc::new(Inner {
            parent,
            state: state.map(str::to_owned),
        })))
    }

    /// That of the handler in which this is called; `None` outside of handlers, and where the job has none. Tasks and threads that a
    /// handler starts do not have it: hand it to them.
    pub fn current() -> Option<Self> {
        // A destructor of another thread-local may log at the end of a thread.
        CURRENT
            .try_with(|current| current.try_borrow().ok()?.clone())
            .ok()?
    }

    /// The 32 hexadecimal digits that name the trace.
    pub fn trace_id(&self) -> &str {
        &self.0.parent[3..35]
    }

    /// The header `traceparent`, of version 00.
    pub fn traceparent(&self) -> &str {
        &self.0.parent
    }

    /// The header `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.0.state.as_deref()
    }

    /// The beginning of the trace of a run: its id is the run's key, where that is a UUID, so that one is found by the
    /// other. Sampled: tracers that follow the flag of its parent record the run.
    pub(crate) fn of_run(uk: &str) -> Self {
        let id = uuid::Uuid::parse_str(uk).unwrap_or_else(|_| uuid::Uuid::new_v4());
        let span = fastrand::u64(1..);
        Self(Arc::new(Inner {
            parent: format!("00-{}-{span:016x}-01", id.simple()),
            state: None,
        }))
    }

    /// What a daemon or a person has set for this process.
    pub(crate) fn of_environment() -> Option<Self> {
        let state = std::env::var(STATE_VARIABLE).ok();
        Self::parse(&std::env::var(PARENT_VARIABLE).ok()?, state.as_deref())
    }

    /// Of a message's headers. Two parents are none, as the specification has it; of several states the first that fits counts.
    pub(crate) fn of_headers(headers: &[(String, Bytes)]) -> Option<Self> {
        if headers.is_empty() {
            return None;
        }
        let named = |name: &'static str| {
            let named = headers.iter().filter(move |(of, _)| of == name);
            named.map(|(_, value)| std::str::from_utf8(value))
        };
        let mut parents = named(PARENT_HEADER);
        let (Some(Ok(parent)), None) = (parents.next(), parents.next()) else {
            return None;
        };
        let state = named(STATE_HEADER).find_map(Result::ok);
        Self::parse(parent, state)
    }

    /// As headers of a message, unless it has a `traceparent` of its own.
    pub(crate) fn add_to(&self, headers: &mut Vec<(String, Bytes)>) {
        if headers.iter().any(|(name, _)| name == PARENT_HEADER) {
            return;
        }
        let parent = Bytes::from(self.0.parent.clone());
        headers.push((PARENT_HEADER.to_owned(), parent));
        if let Some(state) = &self.0.state {
            headers.push((STATE_HEADER.to_owned(), Bytes::from(state.clone())));
        }
    }

    /// As one text, for a column.
    pub(crate) fn column(&self) -> String {
        match &self.0.state {
            Some(state) => format!("{} {state}", self.0.parent),
            None => self.0.parent.clone(),
        }
    }

    /// What `column` wrote; any program may have written something else.
    pub(crate) fn of_column(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some((parent, state)) => Self::parse(parent, Some(state)),
            None => Self::parse(text, None),
        }
    }
}

/// Does a step of a handler within its trace. Nothing where it has none, and then what is current stays: a handler may be tried inside
/// of another.
pub(crate) fn within<T>(trace: Option<&Trace>, step: impl FnOnce() -> T) -> T {
    let Some(trace) = trace else {
        return step();
    };
    let _within = Within(CURRENT.replace(Some(trace.clone())));
    step()
}

/// What was current before comes back, after a panic too.
struct Within(Option<Trace>);

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// As version 00. A later version may have more behind it, after a `-`; of what 00 has the places stay the same.
fn parent(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    let (version, rest) = (text.get(..2)?, text.get(2..PARENT_CHARS)?);
    let behind = text.get(PARENT_CHARS..)?;
    let is_whole = match version {
        "ff" => false,
        "00" => behind.is_empty(),
        _ => behind.is_empty() || behind.starts_with('-'),
    };
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_right = |(at, byte): (usize, u8)| match at {
        0 | 33 | 50 => byte == b'-',
        _ => is_digit(byte),
    };
    let is_zero = |digits: &str| digits.bytes().all(|byte| byte == b'0');
    let is_right = is_whole
        && version.bytes().all(is_digit)
        && rest.bytes().enumerate().all(is_right)
        && !is_zero(&rest[1..33])
        && !is_zero(&rest[34..50]);
    is_right.then(|| format!("00{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(&str, &str)]) -> Vec<(String, Bytes)> {
        let header = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn a_parent_is_what_the_grammar_says_and_nothing_else() {
        let trace = Trace::parse(PARENT, None).unwrap();
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.traceparent(), PARENT);
        let of = |text: &str| Trace::parse(text, None).map(|trace| trace.traceparent().to_owned());
        assert_eq!(of(&format!(" {PARENT}\t")).as_deref(), Some(PARENT));
        let later = PARENT.replacen("00", "cc", 1);
        assert_eq!(
            of(&later).as_deref(),
            Some(PARENT),
            "handed on as version 00"
        );
        assert_eq!(
            of(&format!("{later}-what.the-future")).as_deref(),
            Some(PARENT)
        );
        for wrong in [
            "",
            "00",
            &PARENT[..54],
            &format!("{PARENT}-x"),
            &format!("{PARENT}0"),
            &format!("{later}x"),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "0x", 1),
            &PARENT.to_uppercase(),
            &PARENT.replace('-', "_"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6\x1b[31m29d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_valid_trace_state_goes_along() {
        let state = |state: &str| {
            let trace = Trace::parse(PARENT, Some(state)).unwrap();
            trace.tracestate().map(str::to_owned)
        };
        assert_eq!(state("a=1, b=x y").as_deref(), Some("a=1, b=x y"));
        assert_eq!(state(&"x".repeat(512)).map(|state| state.len()), Some(512));
        for wrong in [
            "",
            " ",
            &"x".repeat(513),
            "a=\u{e9}",
            "a=1\nb=2",
            "a=\x1b[31m",
        ] {
            assert_eq!(state(wrong), None, "{wrong:?}");
        }
        let trace = Trace::parse(PARENT, Some("a=1, b=2")).unwrap();
        assert_eq!(Trace::of_column(&trace.column()), Some(trace));
        let bare = Trace::parse(PARENT, None).unwrap();
        assert_eq!(Trace::of_column(&bare.column()), Some(bare));
        assert_eq!(Trace::of_column("anything else"), None);
    }

    #[test]
    fn headers_have_one_parent() {
        let both = headers(&[("x", "y"), ("traceparent", PARENT), ("tracestate", "a=1")]);
        let trace = Trace::of_headers(&both).unwrap();
        assert_eq!(
            (trace.traceparent(), trace.tracestate()),
            (PARENT, Some("a=1"))
        );
        let twice = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
        assert_eq!(Trace::of_headers(&twice), None);
        assert_eq!(Trace::of_headers(&headers(&[("traceparent", "x")])), None);
        assert_eq!(Trace::of_headers(&[]), None);
        let mut added = headers(&[("x", "y")]);
        trace.add_to(&mut added);
        assert_eq!(
            added,
            headers(&[("x", "y"), ("traceparent", PARENT), ("tracestate", "a=1")])
        );
        let other = PARENT.replace("01", "00");
        let mut own = headers(&[("traceparent", &other)]);
        trace.add_to(&mut own);
        assert_eq!(own.len(), 1);
    }

    #[test]
    fn a_step_has_its_trace_and_the_next_one_does_not() {
        let trace = Trace::parse(PARENT, None);
        within(trace.as_ref(), || {
            assert_eq!(Trace::current(), trace);
            within(Some(&Trace::of_run("x")), || {
                assert_ne!(Trace::current(), trace)
            });
            within(None, || assert_eq!(Trace::current(), trace));
            assert_eq!(Trace::current(), trace);
        });
        assert_eq!(Trace::current(), None);
        let panicked = std::panic::catch_unwind(|| within(trace.as_ref(), || panic!("as wanted")));
        assert!(panicked.is_err());
        assert_eq!(Trace::current(), None);
    }

    #[test]
    fn a_run_begins_a_trace_that_has_its_key() {
        let trace = Trace::of_run("3f0e4c0e-2e4d-5a43-9c58-41d17a390d11");
        assert_eq!(trace.trace_id(), "3f0e4c0e2e4d5a439c5841d17a390d11");
        assert_eq!(Trace::parse(trace.traceparent(), None), Some(trace));
        let other = Trace::of_run("no uuid");
        assert_eq!(Trace::parse(other.traceparent(), None), Some(other));
    }
}
