//! Which handlers this binary has, and what to say about one that it has not.

use std::collections::BTreeSet;

use crate::jsonc::{quote, suggest};

/// How the Go project drives its delay queue each minute; ours runs by itself.
pub(super) const DELAY_QUEUE: &str = "delay_queue";

/// The `exec_cmd`s that handlers are registered under, by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commands {
    pub(crate) consumers: BTreeSet<String>,
    /// Those of the consumers that take batches.
    pub(crate) batch_consumers: BTreeSet<String>,
    pub(crate) delayed: BTreeSet<String>,
    pub(crate) cron: BTreeSet<String>,
}

/// The three registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Delayed,
    Cron,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Consumer, Self::Delayed, Self::Cron];

    fn noun(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Delayed => "delayed task",
            Self::Cron => "cron job",
        }
    }
}

impl Commands {
    /// What is wrong with a command: no handler of the kind is registered under it.
    ///
    /// `shown` is the command as it may be shown: a variable's name, not what the environment holds.
    pub(super) fn missing(&self, kind: Kind, command: &str, shown: &str) -> Option<String> {
        let registered = self.of(kind);
        if registered.contains(command) {
            return None;
        }
        let mut message = format!("no {} {} is registered", kind.noun(), quote::name(shown));
        let elsewhere = Kind::ALL
            .into_iter()
            .find(|other| self.of(*other).contains(command));
        match elsewhere {
            Some(other) => message.push_str(&format!(", though a {} is", other.noun())),
            None => {
                let names = registered.iter().map(String::as_str);
                // It needs no registration, and may be written wrong like the others.
                let own = [DELAY_QUEUE].into_iter().filter(|_| kind == Kind::Cron);
                let near = suggest::nearest(command, names.clone().chain(own));
                message.push_str(&match near {
                    Some(near) => format!("; did you mean {}?", quote::name(near)),
                    None => suggest::hint(command, "registered are", names),
                });
            }
        }
        Some(message)
    }

    fn of(&self, kind: Kind) -> &BTreeSet<String> {
        match kind {
            Kind::Consumer => &self.consumers,
            Kind::Delayed => &self.delayed,
            Kind::Cron => &self.cron,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn a_missing_command_comes_with_what_would_be_right() {
        let commands = Commands {
            consumers: set(["kafka_test", "redis_test"]),
            delayed: set([]),
            cron: set(["crontab_track"]),
            ..Commands::default()
        };
        let missing = |kind, command| commands.missing(kind, command, command).unwrap_or_default();
        assert_eq!(missing(Kind::Consumer, "kafka_test"), "");
        assert_eq!(
            missing(Kind::Consumer, "kafka_tst"),
            "no consumer `kafka_tst` is registered; did you mean `kafka_test`?"
        );
        assert_eq!(
            missing(Kind::Cron, "delay_queu"),
            "no cron job `delay_queu` is registered; did you mean `delay_queue`?"
        );
        assert_eq!(
            missing(Kind::Consumer, "orders"),
            "no consumer `orders` is registered; registered are `kafka_test`, `redis_test`"
        );
        assert_eq!(
            missing(Kind::Consumer, "crontab_track"),
            "no consumer `crontab_track` is registered, though a cron job is"
        );
        assert_eq!(
            missing(Kind::Delayed, "x"),
            "no delayed task `x` is registered; registered are none"
        );
    }
}
