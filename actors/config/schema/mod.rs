//! The JSON Schema of the three files, for editors.
//!
//! It is no second definition: the readers themselves run over pretended values and note what they take ([`sketch`]), and
//! the words beside each key are those of the tables in `docs/` ([`words`]). Draft 7, which VS Code and the JetBrains editors
//! know whole; of later drafts they know parts.

use std::rc::Rc;

use super::settings::Settings;
use super::{Commands, Environment, Reading, crontab, queue};
use crate::jsonc::sketch::{PRETENDED, Sketch};
use crate::jsonc::tree;

mod others;
mod render;
#[cfg(test)]
mod tests;
mod words;

/// One of the three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Queue,
    Crontab,
    Settings,
}

/// In which languages keys are described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Languages {
    /// English, and Chinese beneath.
    #[default]
    Both,
    English,
    Chinese,
}

impl File {
    pub(crate) const ALL: [Self; 3] = [Self::Queue, Self::Crontab, Self::Settings];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Crontab => "crontab",
            Self::Settings => "settings",
        }
    }

    /// The schema as the text of a file. The handlers of `commands` are what an editor proposes as `exec_cmd`.
    pub(crate) fn schema(self, commands: &Commands, languages: Languages) -> String {
        let schema = render::schema(self, &self.sketch(commands), languages);
        // A map of strings is always JSON.
        serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
    }

    /// What the file's reader takes.
    fn sketch(self, commands: &Commands) -> Rc<Sketch> {
        let nothing = |_: &str| None;
        let mut reading = Reading {
            environment: Environment::default(),
            commands,
            lookup: &nothing,
            servers: None,
            machine_zone: None,
            notes: Vec::new(),
        };
        let sketch = Rc::default();
        // What the readers say of pretended values is nobody's fault.
        let _ = tree::read("", PRETENDED, &nothing, "", |root| {
            for root in root.pretended(&sketch) {
                match self {
                    Self::Queue => drop(queue::read(&root, &mut reading)),
                    Self::Crontab => drop(crontab::read(&root, &mut reading)),
                    Self::Settings => drop(Settings::read(&root, &mut reading)),
                }
            }
        });
        sketch
    }

    fn title(self) -> &'static str {
        match self {
            Self::Queue => "simplest_script: etc/queue_{partition}.json",
            Self::Crontab => "simplest_script: etc/crontab_{partition}.json",
            Self::Settings => "simplest_script: etc/{env}.json",
        }
    }
}

/// A schema, for tests.
#[cfg(test)]
fn of(file: File) -> serde_json::Value {
    render::schema(file, &file.sketch(&Commands::default()), Languages::Both)
}
