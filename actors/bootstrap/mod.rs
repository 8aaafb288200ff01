//! From the configuration and the handlers to what the supervisor starts, and the small system of a command.

mod children;
pub(crate) mod entry_files;
pub(crate) mod failure;
pub(crate) mod go_layout;
pub(crate) mod mini_system;
pub(crate) mod open;
pub(crate) mod plan;
pub(crate) mod sources;
pub(crate) mod version;
