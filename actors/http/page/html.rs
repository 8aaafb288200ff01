//! The only values that templates do not escape. They are made here, of numbers and of our own words.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use chrono::{DateTime, Local, SecondsFormat, Utc};

use super::language::Language;

/// A piece of HTML. Nothing outside this file makes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

impl Html {
    pub(super) fn join(&mut self, other: Self) {
        self.0 += &other.0;
    }
}

impl Language {
    /// A moment, unix milliseconds: in the zone of the daemon, which `page.js` replaces by the browser's and keeps for
    /// hovering.
    pub(super) fn time(self, ms: impl Borrow<i64>) -> Html {
        time(*ms.borrow(), "", "%m-%d %H:%M:%S")
    }

    /// As [`Language::time`], with its date always: where a person decides by it.
    pub(super) fn whole_time(self, ms: impl Borrow<i64>) -> Html {
        time(*ms.borrow(), " data-whole", "%Y-%m-%d %H:%M:%S")
    }
}

fn time(ms: i64, mark: &'static str, form: &'static str) -> Html {
    let Some(at) = DateTime::<Utc>::from_timestamp_millis(ms) else {
        // Beyond the year 262,000.
        return Html(ms.to_string());
    };
    let local = at.with_timezone(&Local);
    Html(format!(
        "<time datetime=\"{}\" title=\"{}\"{mark}>{}</time>",
        at.to_rfc3339_opts(SecondsFormat::Millis, true),
        local.format("%Y-%m-%d %H:%M:%S %:z"),
        local.format(form),
    ))
}

/// A path of SVG: `M` to a point, `V` to a height, `H` to a place.
pub(super) fn svg_path(class: PathClass, commands: &[(char, f32, f32)]) -> Html {
    if commands.is_empty() {
        return Html::default();
    }
    let number = |n: f32| {
        let text = format!("{n:.1}");
        text.trim_end_matches(".0").to_owned()
    };
    let mut d = String::with_capacity(commands.len() * 8);
    for (command, x, y) in commands {
        match command {
            'V' => d += &format!("V{}", number(*y)),
            'H' => d += &format!("H{}", number(*x)),
            _ => d += &format!("M{} {}", number(*x), number(*y)),
        }
    }
    let class = match class {
        PathClass::Done => "done",
        PathClass::Failed => "failed",
    };
    Html(format!("<path class=\"{class}\" d=\"{d}\"/>"))
}

/// What a path of a drawing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathClass {
    Done,
    Failed,
}
