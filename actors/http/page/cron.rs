//! All cron entries, a line each.

use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;

use super::format::{count, known};
use super::frame::{Frame, Tab};
use super::html::Html;
use super::language::Language;
use super::rows::Part;
use super::spark::Spark;
use super::trouble::Troubles;
use super::visit::Visit;
use crate::clock::now_ms;
use crate::orders::PauseKind;
use crate::state::CronState;

#[derive(Template)]
#[template(path = "cron.html")]
struct CronPage {
    frame: Frame,
    t: Language,
    part: Part<CronRow>,
    q: String,
    only_trouble: bool,
    file: String,
    example: &'static str,
    /// Name, schedule, and why it does not run.
    not_live: Vec<(String, String, String)>,
    more_not_live: usize,
}

/// Entries that are not live here that are listed.
const MOST_NOT_LIVE: usize = 50;

/// An example of a cron entry, for a page that has none.
pub(super) const CRON_EXAMPLE: &str = r#"[
  { "cron": "0 30 2 * * *", "name": "report", "exec_cmd": "daily_report", "params": "", "status": 1, "is_log": 1 }
]"#;

/// One entry.
pub(super) struct CronRow {
    pub(super) name: String,
    /// Distinguishes it from others of its name.
    pub(super) key: Option<String>,
    pub(super) link: String,
    pub(super) is_wrong: bool,
    pub(super) is_paused: bool,
    pub(super) running: usize,
    pub(super) expression: String,
    pub(super) spark: Spark,
    pub(super) next: Option<(Html, String)>,
    pub(super) last: Option<Html>,
    pub(super) success: Option<Html>,
    pub(super) failed: String,
    pub(super) has_failed: bool,
    pub(super) lateness: String,
    pub(super) duration: String,
}

/// Letters of a key that distinguish entries of one name.
const KEY_SHOWN: usize = 8;

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let troubles = visit.troubles().await;
    let found = visit.found_entries(&troubles);
    let all = visit.config.state.cron().len();
    let config = visit.config.files.config();
    let not_live = config.crontab.iter().filter(|entry| !entry.live);
    let not_live: Vec<_> = not_live
        .filter(|entry| visit.matches(&entry.name))
        .collect();
    let why = |entry: &&crate::config::CronEntry| {
        let why = entry.why_not_live(config.environment);
        (entry.name.clone(), entry.expression.clone(), why)
    };
    visit.show(&CronPage {
        more_not_live: not_live.len().saturating_sub(MOST_NOT_LIVE),
        not_live: not_live.iter().take(MOST_NOT_LIVE).map(why).collect(),
        frame: visit.frame(Tab::Cron, visit.t.tab_cron()),
        t: visit.t,
        part: visit.part(all, &found, |entry| visit.cron_row(entry, &troubles)),
        q: visit.get("q").unwrap_or_default().to_owned(),
        only_trouble: visit.is_set("trouble"),
        file: visit.cron_file(),
        example: CRON_EXAMPLE,
    })
}

impl Visit {
    /// Where cron entries are configured.
    pub(super) fn cron_file(&self) -> String {
        format!("etc/crontab_{}.json", self.config.state.identity.partition)
    }

    /// The entries that the search and the box ask for, those in trouble first, then as configured.
    pub(super) fn found_entries(&self, troubles: &Troubles) -> Vec<Arc<CronState>> {
        let entries = self.config.state.cron();
        let only = self.is_set("trouble");
        let is_wrong = |entry: &CronState| troubles.cron.contains(&entry.key);
        let found = entries
            .iter()
            .filter(|entry| (!only || is_wrong(entry)) && self.matches(&entry.facts().name));
        let mut found: Vec<Arc<CronState>> = found.cloned().collect();
        found.sort_by_key(|entry| !is_wrong(entry));
        found
    }

    /// How many entries have that name.
    pub(super) fn same_name(&self, name: &str) -> usize {
        let entries = self.config.state.cron();
        let same = entries.iter().filter(|entry| entry.facts().name == name);
        same.count()
    }

    pub(super) fn cron_row(&self, entry: &CronState, troubles: &Troubles) -> CronRow {
        let (t, now) = (self.t, now_ms());
        let view = entry.figures();
        let history = self.config.state.cron_history(&entry.key);
        let spark = Spark::of(&history.unwrap_or_default());
        let facts = view.facts;
        let short = || facts.key.chars().take(KEY_SHOWN).collect();
        CronRow {
            key: (self.same_name(&facts.name) > 1).then(short),
            link: self.link("/cron/entry", &[("key", &facts.key)]),
            is_wrong: troubles.cron.contains(&entry.key),
            is_paused: self.pause_of(PauseKind::Cron, &facts.name).is_some(),
            running: view.running_count,
            next: view.next_fire_ms.map(|at| (t.time(at), t.until(at, now))),
            last: view.last_fire_ms.map(|at| t.time(at)),
            success: view.last_success_ms.map(|at| t.time(at)),
            failed: count(spark.failed),
            has_failed: spark.failed > 0,
            lateness: known(spark.hour_lateness.map(|mean| t.seconds(mean))),
            duration: known(view.duration.quantile(0.5).map(|half| t.seconds(half))),
            expression: facts.expression,
            name: facts.name,
            spark,
        }
    }
}
