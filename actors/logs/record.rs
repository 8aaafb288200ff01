//! A line of a business log: one JSON object, with the Go project's keys in its order.

use std::fmt::{Display, Write};
use std::panic::Location;
use std::path::Path;

use chrono::{DateTime, Local};
use serde::Serialize;
use serde_json::{Map, Value};

use super::line::TIME;
use crate::trace::Trace;

/// The level words of the Go project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Severity {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

#[derive(Serialize)]
struct Record<'a> {
    timestamp: &'a str,
    level: Severity,
    message: &'a str,
    /// Path and line, as editors and terminals open them.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// The last part of the path, as the Go project has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// Of the handler that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: &'a Map<String, Value>,
}

/// Writes one whole line. The message is text as it is: JSON escapes what would break the line.
pub(super) fn render(
    now: DateTime<Local>,
    level: Severity,
    message: &dyn Display,
    caller: Option<&Location<'_>>,
    fields: &Map<String, Value>,
) -> String {
    let trace = Trace::current();
    let record = Record {
        timestamp: &text(&now.format(TIME)),
        level,
        message: &text(message),
        caller: caller.map(|it| format!("{}:{}", it.file(), it.line())),
        file: caller.map(|it| file_name(it.file())),
        line: caller.map(Location::line),
        trace_id: trace.as_ref().map(Trace::trace_id),
        fields,
    };
    // Text, numbers and JSON values with text as keys always become JSON.
    let mut line = serde_json::to_string(&record).unwrap_or_default();
    line.push('\n');
    line
}

/// A log file's line about itself.
pub(super) fn warning(now: DateTime<Local>, message: &str) -> String {
    render(now, Severity::Warn, &message, None, &Map::new())
}

/// Unlike `to_string`, this does not panic when a `Display` of business code fails.
fn text(value: &dyn Display) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value}");
    text
}

fn file_name(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    name.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use chrono::TimeZone;
    use serde_json::json;

    use super::*;

    fn noon() -> DateTime<Local> {
        Local.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn quotes_line_breaks_and_chinese_survive_in_one_line() {
        let message = "订单 \"7\"\r\nlast\\line\u{0}";
        let fields = fields(json!({ "原因": "a\nb" }));
        let line = render(noon(), Severity::Info, &message, None, &fields);
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(
            line,
            concat!(
                r#"{"timestamp":"2026-11-22 12:00:00.000","level":"INFO","#,
                r#""message":"订单 \"7\"\r\nlast\\line\u0000","fields":{"原因":"a\nb"}}"#,
                "\n"
            )
        );
        let back: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["message"], message);
        assert_eq!(back["fields"]["原因"], "a\nb");
    }

    #[test]
    fn caller_and_fields_are_left_out_where_there_are_none() {
        let plain: Value = serde_json::from_str(&warning(noon(), "x")).unwrap();
        assert_eq!(
            plain,
            json!({ "timestamp": "2026-11-22 12:00:00.000", "level": "WARN", "message": "x" })
        );
        let here = Location::caller();
        let line = render(noon(), Severity::Fatal, &"x", Some(here), &Map::new());
        let full: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(full["level"], "FATAL");
        assert_eq!(full["file"], "record.rs");
        assert_eq!(full["line"], here.line());
        assert_eq!(full["caller"], format!("{}:{}", here.file(), here.line()));
    }

    #[test]
    fn a_line_of_a_traced_handler_names_its_trace() {
        let trace = Trace::parse(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            None,
        );
        let line = crate::trace::within(trace.as_ref(), || warning(noon(), "x"));
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_message_that_cannot_be_shown_does_not_panic() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let line = render(noon(), Severity::Error, &Broken, None, &Map::new());
        assert!(line.contains(r#""message":"half"}"#), "{line}");
    }
}
