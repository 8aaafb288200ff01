//! Which dead letters are meant, as a person writes it.

use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::operations::moment_or_ago;
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};
use crate::store::rows::DeadLetterFilter;

/// Dead letters that are all of this.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Of the queue entry of this name, or of tasks pushed under it
    #[arg(long, visible_alias = "queue", value_name = "NAME")]
    name: Option<String>,
    /// Of this kind
    #[arg(long)]
    kind: Option<DeadLetterKind>,
    /// Of this handler
    #[arg(long, value_name = "CMD")]
    exec_cmd: Option<String>,
    /// Died then or later: a duration ago (`90m`, `2d`), or a time (`2026-01-31`, `'2026-01-31 08:30'`, RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Died before that
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// With this text in the error, in letters of any case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl FilterArgs {
    pub(super) fn filter(self) -> DeadLetterFilter {
        DeadLetterFilter {
            name: self.name,
            kind: self.kind.map(|kind| kind.column().to_owned()),
            exec_cmd: self.exec_cmd,
            since_ms: self.since.map(|moment| moment.0),
            until_ms: self.until.map(|moment| moment.0),
            error: self.error,
            ..DeadLetterFilter::default()
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DeadLetterKind {
    /// Messages of `table` queues
    #[value(alias = "table")]
    Queue,
    /// Messages of Redis lists
    Redis,
    /// Records of Kafka topics
    Kafka,
    /// Delayed tasks
    Delay,
}

impl DeadLetterKind {
    fn column(self) -> &'static str {
        match self {
            Self::Queue => KIND_TABLE,
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::Delay => KIND_DELAY,
        }
    }
}

/// Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) i64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        moment_or_ago(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ms;

    #[test]
    fn a_moment_is_so_long_ago_or_a_time() {
        let ms = |text: &str| text.parse::<Moment>().map(|moment| moment.0);
        let then = ms("2h30m").unwrap();
        let ago = now_ms() - then;
        assert!((9_000_000..9_060_000).contains(&ago), "{ago}");
        assert_eq!(ms("2026-01-31T08:30:00+01:00"), Ok(1_769_844_600_000));
        assert_eq!(ms("2026-01-31T07:30:00Z"), Ok(1_769_844_600_000));
        let day = ms("2026-01-31").unwrap();
        assert_eq!(ms("2026-01-31 00:00"), Ok(day));
        assert_eq!(ms("2026-01-31 00:00:07"), Ok(day + 7000));
        assert_eq!(ms("2026-01-31T00:01"), Ok(day + 60_000));
        for wrong in [
            "",
            "yesterday",
            "90",
            "-2h",
            "2026-13-01",
            "2026-01-31 25:00",
        ] {
            assert!(ms(wrong).unwrap_err().contains("RFC 3339"), "{wrong}");
        }
    }
}
