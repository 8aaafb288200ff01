//! A line of the daemon's log: `2026-11-22 12:00:00.123 INFO  a sentence`.
//!
//! One record is one line, whatever is in it: line breaks and control characters are shown
//! escaped, so that nobody can forge a record or a terminal sequence through a message.

use std::fmt::{self, Write};

use chrono::{DateTime, Local};
use log::Level;

use crate::trace::Trace;

/// Local time to the millisecond, as the Go project's `2006-01-02 15:04:05.000`.
pub(super) const TIME: &str = "%Y-%m-%d %H:%M:%S%.3f";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    /// The level word in an ANSI colour.
    Ansi,
}

/// Writes one whole line. `origin` names the crate a foreign record came from.
pub(super) fn render(
    now: DateTime<Local>,
    level: Level,
    origin: Option<&str>,
    message: &dyn fmt::Display,
    trace: Option<&Trace>,
    colour: Colour,
) -> String {
    // Holds nearly all lines without growing.
    const USUAL_BYTES: usize = 160;
    let mut line = String::with_capacity(USUAL_BYTES);
    // Writing into a String cannot fail; a `Display` that does ends its own text early.
    let _ = write!(line, "{} ", now.format(TIME));
    let _ = match colour {
        Colour::Plain => write!(line, "{level:<5} "),
        Colour::Ansi => write!(line, "\x1b[{}m{level:<5}\x1b[0m ", ansi(level)),
    };
    let mut text = OneLine(&mut line);
    let _ = match origin {
        Some(origin) => write!(text, "{origin}: {message}"),
        None => write!(text, "{message}"),
    };
    if let Some(trace) = trace {
        let _ = write!(line, " trace_id={}", trace.trace_id());
    }
    line.push('\n');
    line
}

/// A log file's line about itself.
pub(super) fn warning(now: DateTime<Local>, message: &str) -> String {
    render(now, Level::Warn, None, &message, None, Colour::Plain)
}

/// Red, yellow, green, blue, grey: what terminals and people expect.
fn ansi(level: Level) -> u8 {
    match level {
        Level::Error => 31,
        Level::Warn => 33,
        Level::Info => 32,
        Level::Debug => 34,
        Level::Trace => 90,
    }
}

struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.contains(char::is_control) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '\t' => self.0.push(c),
                c if c.is_control() => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn noon() -> DateTime<Local> {
        Local.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap() + chrono::TimeDelta::milliseconds(7)
    }

    #[test]
    fn a_line_has_time_padded_level_and_sentence() {
        let line = render(
            noon(),
            Level::Info,
            None,
            &"队列 started",
            None,
            Colour::Plain,
        );
        assert_eq!(line, "2026-11-22 12:00:00.007 INFO  队列 started\n");
        let line = render(
            noon(),
            Level::Error,
            Some("rdkafka"),
            &"no",
            None,
            Colour::Plain,
        );
        assert_eq!(line, "2026-11-22 12:00:00.007 ERROR rdkafka: no\n");
    }

    #[test]
    fn only_the_level_word_is_coloured() {
        let line = render(noon(), Level::Warn, None, &"x", None, Colour::Ansi);
        assert_eq!(line, "2026-11-22 12:00:00.007 \x1b[33mWARN \x1b[0m x\n");
    }

    #[test]
    fn a_line_of_a_traced_handler_names_its_trace() {
        let trace = Trace::parse(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            None,
        );
        let line = render(
            noon(),
            Level::Info,
            None,
            &"x",
            trace.as_ref(),
            Colour::Plain,
        );
        let wanted = "2026-11-22 12:00:00.007 INFO  x trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n";
        assert_eq!(line, wanted);
    }

    #[test]
    fn a_record_with_line_breaks_is_one_line() {
        let line = warning(noon(), "a\nb\r\n\tc\x1b[31m\u{85}é");
        assert_eq!(
            line,
            "2026-11-22 12:00:00.007 WARN  a\\nb\\r\\n\tc\\u{1b}[31m\\u{85}é\n"
        );
    }
}
