//! `etc/crontab_{partition}.json`: what fires when.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use chrono::Utc;
use chrono_tz::Tz;

use super::commands::{DELAY_QUEUE, Kind};
use super::environment::{Environment, StatusBits};
use super::queue::STATUS;
use super::secret::Secret;
use super::settings::Ping;
use super::{Reading, retry, zone, zone_names};
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::quote;
use crate::schedule::Schedule;

/// `crontab_log.name` is a varchar(255).
const LONGEST_NAME: usize = 255;
/// `cron_entry.expression` is one, too.
const LONGEST_EXPRESSION: usize = 255;
/// `crontab_log.exec_cmd` and `params` are varchar(500).
const LONGEST_LOGGED: usize = 500;
/// Without a row in `crontab_log`, `params` need only fit a command line: Linux takes 128 KiB an
/// argument, of which a character has up to four bytes.
const LONGEST_UNLOGGED: usize = 30_000;

/// Characters of the `params` of an entry at most.
pub(crate) fn longest_params(is_log: bool) -> usize {
    match is_log {
        true => LONGEST_LOGGED,
        false => LONGEST_UNLOGGED,
    }
}

/// The most missed fires that are caught up: all start within seconds of each other.
const MOST_CAUGHT_UP: u64 = 1_000;

/// One line of the crontab.
#[derive(Debug, Clone)]
pub(crate) struct CronEntry {
    pub(crate) expression: String,
    pub(crate) schedule: Schedule,
    pub(crate) timezone: Tz,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    pub(crate) status: StatusBits,
    pub(crate) live: bool,
    /// Whether each run is a row in `crontab_log`.
    pub(crate) is_log: bool,
    pub(crate) overlap: Overlap,
    pub(crate) misfire: Misfire,
    pub(crate) timeout: Option<Duration>,
    /// Called at each run's start and end, where that is to be here.
    pub(crate) ping: Option<Secret>,
    /// Its number, from 0, among entries of the same expression, zone, command and params.
    pub(crate) ordinal: u32,
    /// It is the Go project's entry that drives the delay queue: it needs no handler and does
    /// nothing.
    pub(crate) drives_delay_queue: bool,
}

/// What a fire does while the run before is still going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    Allow,
    Forbid,
    Replace,
}

/// What becomes of fires that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfire {
    /// Nothing.
    Skip,
    /// One run for all of them.
    Coalesce,
    /// A run for each of the last missed fires, up to this many.
    CatchUp(NonZeroU32),
}

impl CronEntry {
    /// Whether they fire the same in the same way. Their expressions stand for their schedules.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // Without `..`: a new key is forgotten by nobody.
        let Self {
            expression,
            schedule: _,
            timezone,
            name,
            exec_cmd,
            params,
            status: _,
            live,
            is_log,
            overlap,
            misfire,
            timeout,
            ping,
            ordinal,
            drives_delay_queue,
        } = self;
        (expression, timezone, name, exec_cmd, params)
            == (
                &other.expression,
                &other.timezone,
                &other.name,
                &other.exec_cmd,
                &other.params,
            )
            && (live, is_log, overlap, misfire, timeout)
                == (
                    &other.live,
                    &other.is_log,
                    &other.overlap,
                    &other.misfire,
                    &other.timeout,
                )
            && (ping, ordinal, drives_delay_queue)
                == (&other.ping, &other.ordinal, &other.drives_delay_queue)
    }

    /// Why an entry that is not live is not.
    pub(crate) fn why_not_live(&self, environment: Environment) -> String {
        self.status.why_not_live(&self.name, environment)
    }
}

/// What an entry is known by, beside its ordinal. Whichever of its names the zone has.
type Identity = (String, Tz, String, String);

/// Reads all entries of the file.
pub(super) fn read(root: &Node<'_>, reading: &mut Reading<'_>) -> Vec<CronEntry> {
    let nodes = root.array().unwrap_or_default();
    let mut entries: Vec<CronEntry> = nodes
        .iter()
        .filter_map(|node| node.object(|o| entry(o, node, reading)))
        .collect();
    number(&mut entries, reading);
    for entry in entries.iter().filter(|entry| entry.drives_delay_queue) {
        reading.note_delay_queue_entry(&entry.name);
    }
    entries
}

/// Numbers identical entries in their order, and mentions those that fire together.
fn number(entries: &mut [CronEntry], reading: &mut Reading<'_>) {
    let mut counts: HashMap<Identity, (u32, Vec<String>)> = HashMap::new();
    let mut order = Vec::new();
    for entry in entries {
        let identity = (
            entry.expression.clone(),
            zone_names::canonical(entry.timezone),
            entry.exec_cmd.clone(),
            entry.params.clone(),
        );
        let (count, live) = counts.entry(identity.clone()).or_default();
        if *count == 0 {
            order.push(identity);
        }
        entry.ordinal = *count;
        *count += 1;
        if entry.live && !entry.drives_delay_queue {
            live.push(entry.name.clone());
        }
    }
    for (_, live) in order.iter().filter_map(|identity| counts.get(identity)) {
        if live.len() > 1 {
            let names = quote::names(live.iter().map(String::as_str));
            reading
                .notes
                .push(format!("{names} are identical, and each of them fires"));
        }
    }
}

fn entry(o: &Object<'_, '_>, node: &Node<'_>, reading: &mut Reading<'_>) -> Option<CronEntry> {
    let timezone = o.maybe("timezone", |node| {
        let name = node.string()?;
        node.takes_only(zone::names);
        if node.is_full() && name.parse::<Tz>().is_err() {
            node.fault("no time zone");
            return None;
        }
        zone::parse(&name)
            .map_err(|message| node.fault(message))
            .ok()
    });
    let timezone = match timezone {
        Some(None) => reading.machine_zone(node),
        given => given.flatten(),
    };
    let cron = o.required(
        "cron",
        "six fields: second minute hour day-of-month month day-of-week",
        |node| schedule(node, timezone),
    );
    let name = o.required("name", "a name for people", |n| n.name(LONGEST_NAME));
    let exec_cmd = o.required("exec_cmd", "the registered cron job", |n| {
        n.may_be(&reading.commands.cron);
        n.text(LONGEST_LOGGED)
    });
    let status = o.required("status", STATUS, StatusBits::read);
    // As in Go, `null` is no value.
    let is_log = o.maybe("is_log", |node| {
        node.integer_as(0..=1, "1 for a row of each run in `crontab_log`, or 0")
    });
    let is_log = is_log.map(|is_log| is_log == Some(1));
    let params = o.maybe("params", |node| {
        let logged = is_log.unwrap_or(false);
        if !node.is_string() {
            return node.wanted("a string (JSON stands in it as `\"{\\\"a\\\": 1}\"`)");
        }
        let params = node.string()?;
        node.within(&params, longest_params(logged))?;
        Some(params)
    });
    let overlap = o.optional("overlap", Overlap::Allow, |node| {
        let words = [
            ("allow", Overlap::Allow),
            ("forbid", Overlap::Forbid),
            ("replace", Overlap::Replace),
        ];
        node.one_of(&words)
    });
    let misfire = o.optional("misfire", Misfire::Skip, misfire);
    let timeout = retry::timeout(o);
    let ping = o.maybe("ping", Ping::read);

    let drives_delay_queue = exec_cmd.as_deref() == Some(DELAY_QUEUE);
    if let (Some(exec_cmd), Some(status), false) = (&exec_cmd, status, drives_delay_queue) {
        reading.check_command(o, Kind::Cron, exec_cmd, status, name.as_deref());
    }
    let (expression, schedule) = cron?;
    let live = status?.contains(reading.environment);
    if let (Some(name), true, false) = (&name, live, drives_delay_queue) {
        reading.note_idle_cron_keys(o, name, schedule.every().is_some());
    }
    Some(CronEntry {
        expression,
        schedule,
        timezone: timezone?,
        live,
        name: name?,
        exec_cmd: exec_cmd?,
        params: params?.unwrap_or_default(),
        status: status?,
        is_log: is_log?,
        overlap: overlap?,
        misfire: misfire?,
        timeout: timeout?,
        ping: ping?
            .filter(|ping| ping.is_for(reading.environment))
            .map(|ping| ping.url),
        ordinal: 0,
        drives_delay_queue,
    })
}

/// Reads an expression, and refuses one that never fires.
fn schedule(node: &Node<'_>, timezone: Option<Tz>) -> Option<(String, Schedule)> {
    let expression = node.string()?;
    node.is_filled();
    node.within(&expression, LONGEST_EXPRESSION)?;
    let schedule: Schedule = match expression.parse() {
        Ok(schedule) => schedule,
        Err(error) => {
            let error: crate::schedule::ScheduleError = error;
            node.fault_inside(error.offset(), error.to_string());
            return None;
        }
    };
    let now = Utc::now().with_timezone(&timezone.unwrap_or(Tz::UTC));
    if schedule.next_after(&now).is_none() {
        let expression = quote::name(&expression);
        node.fault(format!(
            "{expression} never fires: no such date comes; a day its month has would be right"
        ));
        return None;
    }
    Some((expression, schedule))
}

fn misfire(node: &Node<'_>) -> Option<Misfire> {
    if !node.is_object() {
        let words = [("skip", Misfire::Skip), ("coalesce", Misfire::Coalesce)];
        return node.one_of_as(&words, "`skip`, `coalesce` or `{\"catch_up\": n}`");
    }
    node.object(|o| {
        let most = o.required(
            "catch_up",
            "how many missed fires are run, 1 or more",
            |node| node.positive(MOST_CAUGHT_UP),
        );
        most.map(Misfire::CatchUp)
    })
}

#[cfg(test)]
mod tests;
