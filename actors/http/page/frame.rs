//! What all pages have around them.

use super::answer::Answer;
use super::assets;
use super::html::Html;
use super::language::Language;
use super::visit::Visit;
use crate::state::Identity;

/// Where a page stands in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Now,
    Queues,
    Cron,
    Delay,
    Dead,
    Audit,
}

/// The navigation, from left to right.
pub(super) const TABS: [(Tab, &str); 6] = [
    (Tab::Now, "/"),
    (Tab::Queues, "/queues"),
    (Tab::Cron, "/cron"),
    (Tab::Delay, "/delay"),
    (Tab::Dead, "/dead"),
    (Tab::Audit, "/audit"),
];

impl Tab {
    fn label(self, t: Language) -> &'static str {
        match self {
            Self::Now => t.tab_now(),
            Self::Queues => t.tab_queues(),
            Self::Cron => t.tab_cron(),
            Self::Delay => t.tab_delay(),
            Self::Dead => t.tab_dead(),
            Self::Audit => t.tab_audit(),
        }
    }
}

/// A link of the navigation.
pub(super) struct Link {
    pub(super) label: &'static str,
    pub(super) path: &'static str,
    pub(super) is_here: bool,
}

/// For `layout.html`.
pub(super) struct Frame {
    pub(super) t: Language,
    pub(super) title: String,
    /// Empty at the root; goes before every path.
    pub(super) base: String,
    /// The hash in the URLs of scripts and styles.
    pub(super) assets: &'static str,
    /// This page below the base, as an order leads back to it.
    pub(super) here: String,
    pub(super) english: String,
    pub(super) chinese: String,
    pub(super) tabs: Vec<Link>,
    pub(super) daemon: Identity,
    pub(super) up_since: Html,
    pub(super) read_only: bool,
    pub(super) flash: Option<Answer>,
    /// Whether it has charts, and so needs their script.
    pub(super) has_charts: bool,
    /// Seconds between two refreshes; 0: none.
    pub(super) refresh: u32,
}

/// Seconds between two refreshes of a page.
const REFRESH: u32 = 5;

impl Visit {
    pub(super) fn frame(&self, tab: Tab, title: &str) -> Frame {
        let in_language = |language: Language| {
            let here = self.with(&[("lang", language.code())]);
            format!("{}{here}", self.place.base)
        };
        let tabs = TABS.iter().map(|(one, path)| Link {
            label: one.label(self.t),
            path,
            is_here: *one == tab,
        });
        Frame {
            t: self.t,
            title: title.to_owned(),
            base: self.place.base.clone(),
            assets: assets::hash(),
            here: self.with(&[]),
            english: in_language(Language::English),
            chinese: in_language(Language::Chinese),
            tabs: tabs.collect(),
            daemon: self.config.state.identity.clone(),
            up_since: self.t.time(self.config.state.identity.started_ms),
            read_only: self.config.settings.read_only,
            flash: self.flash(),
            has_charts: false,
            refresh: REFRESH,
        }
    }
}
