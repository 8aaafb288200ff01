//! A name that no entry of this daemon has, and the name that was probably meant: for the routes and for the page.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::HttpConfig;
use super::answers::refusal;
use crate::config::did_you_mean_met;
use crate::jsonc::suggest::nearest;

/// What the name is to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Queue,
    Cron,
}

impl Named {
    fn kind(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Cron => "cron entry",
        }
    }

    /// The names that this daemon knows.
    fn known(self, config: &HttpConfig) -> BTreeSet<String> {
        let state = &config.state;
        match self {
            Self::Queue => {
                let queues = state.queues();
                queues.iter().map(|queue| queue.name.clone()).collect()
            }
            Self::Cron => {
                let entries = state.cron();
                entries.iter().map(|e| e.facts().name.clone()).collect()
            }
        }
    }

    /// Why an entry of the files with that name is not live here.
    fn why_not_live(self, config: &HttpConfig, name: &str) -> Option<String> {
        let files = config.files.config();
        let environment = files.environment;
        match self {
            Self::Queue => {
                let found = files.queues.iter().find(|entry| entry.name == name)?;
                (!found.live).then(|| found.why_not_live(environment))
            }
            Self::Cron => {
                let found = files.crontab.iter().find(|entry| entry.name == name)?;
                (!found.live).then(|| found.why_not_live(environment))
            }
        }
    }

    /// That nothing has that name, and what would be right.
    pub(super) fn why(self, config: &HttpConfig, name: &str) -> String {
        let hint = match self.why_not_live(config, name) {
            Some(why) => format!("; it is configured and not live: {why}"),
            None => did_you_mean_met(name, &self.known(config)),
        };
        format!("there is no {} `{name}` in this daemon{hint}", self.kind())
    }

    /// The name that was probably meant.
    pub(super) fn meant(self, config: &HttpConfig, name: &str) -> Option<String> {
        let known = self.known(config);
        nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
    }

    /// The answer where nothing has that name.
    pub(super) fn not_found(self, config: &HttpConfig, name: &str) -> HttpResponse {
        refusal(StatusCode::NOT_FOUND, &self.why(config, name))
    }
}
