//! A live cron entry and how it is known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::DateTime;
use chrono_tz::Tz;
use uuid::Uuid;

use crate::config::{CronEntry, Overlap, canonical, links_to};
use crate::logs::OutputName;
use crate::state::{CronFacts, CronState};
use crate::store::rows::KnownEntry;

/// The namespace of the names made below; any constant does, as long as it never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0e_4c0e_2e4d_5a43_9c58_41d1_7a39_0d11);

/// An entry that fires.
#[derive(Debug)]
pub(crate) struct LiveEntry {
    pub(crate) config: CronEntry,
    /// Made of expression, zone (by its canonical name), exec_cmd, params and the ordinal among identical ones: a new
    /// `name` or another order in the file re-fires nothing.
    pub(crate) key: String,
    /// The keys that earlier versions made, with whichever other name the zone had: what is known by them is kept.
    former_keys: Vec<String>,
    /// What its output is called: after its name, and where several have that name, after its key too.
    pub(crate) output: OutputName,
    /// What people see of the entry.
    pub(crate) state: Arc<CronState>,
}

/// Characters of a key that distinguish entries of one name.
const SHORT_KEY: usize = 8;

impl LiveEntry {
    pub(crate) fn new(config: CronEntry) -> Self {
        // Two daemons of a partition may have the zone by two names, and fire each second once all the same.
        let zone = canonical(config.timezone);
        let key = key_of(&config, zone);
        let former_keys = links_to(zone).map(|link| key_of(&config, link)).collect();
        let output = OutputName::new(&config.name, None);
        Self {
            state: CronState::new(facts_of(&config, &key)),
            config,
            key,
            former_keys,
            output,
        }
    }

    /// The same entry, with other params for one run.
    pub(super) fn with_params(&self, params: String) -> Self {
        Self {
            config: CronEntry {
                params,
                ..self.config.clone()
            },
            key: self.key.clone(),
            former_keys: Vec::new(),
            output: self.output.clone(),
            state: Arc::clone(&self.state),
        }
    }

    /// All live entries of a daemon.
    pub(crate) fn all(configs: impl Iterator<Item = CronEntry>) -> Vec<Arc<Self>> {
        let mut entries: Vec<Self> = configs.map(Self::new).collect();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &entries {
            *names.entry(entry.config.name.clone()).or_default() += 1;
        }
        for entry in &mut entries {
            if names[&entry.config.name] > 1 {
                let distinct = &entry.key[..SHORT_KEY];
                entry.output = OutputName::new(&entry.config.name, Some(distinct));
            }
        }
        entries.into_iter().map(Arc::new).collect()
    }

    /// All live entries after a reload. One that is the same is the very one that there was, so that its timer and its runs
    /// notice nothing; one whose key is the same goes on publishing where it did.
    pub(crate) fn renewed(
        configs: impl Iterator<Item = CronEntry>,
        before: &[Arc<Self>],
    ) -> Renewed {
        let before: HashMap<&str, &Arc<Self>> = before
            .iter()
            .map(|entry| (entry.key.as_str(), entry))
            .collect();
        let mut renewed = Renewed::default();
        for entry in Self::all(configs) {
            renewed.entries.push(match before.get(&*entry.key) {
                None => {
                    renewed.came.push(Arc::clone(&entry));
                    entry
                }
                Some(same) if same.config.is_same(&entry.config) && same.output == entry.output => {
                    Arc::clone(same)
                }
                Some(changed) => {
                    renewed
                        .changed
                        .push((Arc::clone(changed), Arc::clone(&entry)));
                    Arc::new(Self {
                        config: entry.config.clone(),
                        key: entry.key.clone(),
                        former_keys: entry.former_keys.clone(),
                        output: entry.output.clone(),
                        state: Arc::clone(&changed.state),
                    })
                }
            });
        }
        let live: HashSet<&str> = renewed.entries.iter().map(|e| e.key.as_str()).collect();
        let gone = before.into_iter().filter(|(key, _)| !live.contains(key));
        renewed.went = gone.map(|(_, entry)| Arc::clone(entry)).collect();
        renewed
            .went
            .sort_by(|a, b| a.config.name.cmp(&b.config.name));
        renewed
    }

    /// Publishes the present values of the entry.
    pub(crate) fn publish_facts(&self) {
        self.state.set_facts(facts_of(&self.config, &self.key));
    }

    /// The next time after that, both in unix milliseconds.
    pub(super) fn next_after(&self, ms: i64) -> Option<i64> {
        let after = DateTime::from_timestamp_millis(ms)?.with_timezone(&self.config.timezone);
        let next = self.config.schedule.next_after(&after)?;
        Some(next.timestamp_millis())
    }

    /// A time for people, in the entry's zone.
    pub(super) fn shown(&self, ms: i64) -> String {
        DateTime::from_timestamp_millis(ms).map_or_else(String::new, |at| {
            at.with_timezone(&self.config.timezone)
                .format("%Y-%m-%d %H:%M:%S %Z")
                .to_string()
        })
    }

    pub(super) fn known(&self) -> KnownEntry {
        KnownEntry {
            entry: self.key.clone(),
            former: self.former_keys.clone(),
            name: self.config.name.clone(),
            expression: self.config.expression.clone(),
        }
    }
}

/// The cron entries after a reload, and what has become of each.
#[derive(Default)]
pub(crate) struct Renewed {
    pub(crate) entries: Vec<Arc<LiveEntry>>,
    pub(crate) came: Vec<Arc<LiveEntry>>,
    pub(crate) went: Vec<Arc<LiveEntry>>,
    /// As it was, and as it is.
    pub(crate) changed: Vec<(Arc<LiveEntry>, Arc<LiveEntry>)>,
}

fn facts_of(config: &CronEntry, key: &str) -> CronFacts {
    CronFacts {
        name: config.name.clone(),
        key: key.to_owned(),
        expression: config.expression.clone(),
        timezone: config.timezone.name().to_owned(),
        exec_cmd: config.exec_cmd.clone(),
        replaces: config.overlap == Overlap::Replace,
    }
}

fn key_of(config: &CronEntry, zone: Tz) -> String {
    let identity = serde_json::json!([
        config.expression,
        zone.name(),
        config.exec_cmd,
        config.params,
        config.ordinal
    ]);
    Uuid::new_v5(&NAMESPACE, identity.to_string().as_bytes()).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Misfire, StatusBits};

    pub(in crate::cron) fn entry(expression: &str, misfire: Misfire) -> LiveEntry {
        LiveEntry::new(CronEntry {
            expression: expression.to_owned(),
            schedule: expression.parse().unwrap(),
            timezone: chrono_tz::UTC,
            name: "n".to_owned(),
            exec_cmd: "c".to_owned(),
            params: String::new(),
            status: StatusBits::ALL,
            live: true,
            is_log: true,
            overlap: Overlap::Allow,
            misfire,
            timeout: None,
            ping: None,
            ordinal: 0,
            drives_delay_queue: false,
        })
    }

    #[test]
    fn each_entry_has_an_output_of_its_own() {
        let named = |name: &str, ordinal| {
            let config = entry("0 * * * * *", Misfire::Skip).config;
            CronEntry {
                name: name.to_owned(),
                ordinal,
                ..config
            }
        };
        let all = LiveEntry::all([named("a", 0), named("b", 1), named("a", 2)].into_iter());
        assert_eq!(all[1].output, OutputName::new("b", None));
        for entry in [&all[0], &all[2]] {
            assert_eq!(
                entry.output,
                OutputName::new("a", Some(&entry.key[..SHORT_KEY]))
            );
        }
        assert_ne!(all[0].output, all[2].output);
    }

    #[test]
    fn a_reload_keeps_what_is_the_same_and_distinguishes_the_rest() {
        let of = |expression: &str, name: &str| CronEntry {
            name: name.to_owned(),
            ..entry(expression, Misfire::Skip).config
        };
        let before = [
            of("1 * * * * *", "a"),
            of("2 * * * * *", "b"),
            of("3 * * * * *", "c"),
        ];
        let before = LiveEntry::all(before.into_iter());
        let after = [
            of("4 * * * * *", "d"),
            of("2 * * * * *", "b"),
            of("1 * * * * *", "new"),
        ];
        let renewed = LiveEntry::renewed(after.into_iter(), &before);
        let names = |entries: &[Arc<LiveEntry>]| -> Vec<String> {
            entries
                .iter()
                .map(|entry| entry.config.name.clone())
                .collect()
        };
        assert_eq!(names(&renewed.entries), ["d", "b", "new"]);
        assert_eq!(
            (names(&renewed.came), names(&renewed.went)),
            (vec!["d".to_owned()], vec!["c".to_owned()])
        );
        assert!(
            Arc::ptr_eq(&renewed.entries[1], &before[1]),
            "it does not notice"
        );
        let [(was, is)] = &renewed.changed[..] else {
            panic!("one has a new name")
        };
        assert_eq!((&*was.config.name, &*is.config.name), ("a", "new"));
        assert!(Arc::ptr_eq(&renewed.entries[2].state, &before[0].state));
        renewed.entries[2].publish_facts();
        assert_eq!(before[0].state.facts().name, "new");
    }

    #[test]
    fn the_names_of_one_zone_make_one_key() {
        let of = |zone: &str| {
            let mut config = entry("0 * * * * *", Misfire::Skip).config;
            config.timezone = zone.parse().unwrap();
            LiveEntry::new(config)
        };
        assert_eq!(of("UTC").key, of("Etc/UTC").key);
        assert_eq!(of("PRC").key, of("Asia/Shanghai").key);
        assert_ne!(of("Asia/Shanghai").key, of("Asia/Tokyo").key);
        // What a version before made of this entry with `UTC`.
        let former = "ffab23c0-e569-5ab1-b3ff-07a6114a7cf2";
        assert!(of("Etc/UTC").former_keys.contains(&former.to_owned()));
        assert!(of("UTC").former_keys.contains(&former.to_owned()));
        assert!(
            of("Asia/Tokyo")
                .former_keys
                .iter()
                .all(|key| *key != of("Asia/Tokyo").key)
        );
    }

    #[test]
    fn a_new_name_is_the_same_entry() {
        let one = entry("0 * * * * *", Misfire::Skip);
        let mut renamed = one.config.clone();
        renamed.name = "another".to_owned();
        assert_eq!(LiveEntry::new(renamed).key, one.key);
        let mut second = one.config.clone();
        second.ordinal = 1;
        assert_ne!(LiveEntry::new(second).key, one.key);
        assert_ne!(entry("1 * * * * *", Misfire::Skip).key, one.key);
    }
}
