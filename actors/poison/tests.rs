//! The slots as a whole: real processes die, and their files are judged.

mod child;
mod cost;
mod deaths;
mod files;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::{DeadFile, Death, Identity, Kind, SlotFile, dead_files};

fn identity(id: impl Into<Cow<'static, str>>) -> Identity<'static> {
    Identity::new(Kind::Queue, "orders", id, 7)
}

fn slots(data: &Path) -> Arc<SlotFile> {
    Arc::new(SlotFile::create(data, "script1", "boot-1").unwrap())
}

fn ids<'a>(identities: &'a [Identity<'static>]) -> Vec<&'a str> {
    let mut ids: Vec<_> = identities.iter().map(Identity::id).collect();
    ids.sort_unstable();
    ids
}

#[track_caller]
fn only(mut files: Vec<DeadFile>) -> DeadFile {
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[track_caller]
fn assert_crashed(data: &Path, crashed: &[(&'static str, Death)]) -> DeadFile {
    let file = only(dead_files(data).unwrap());
    let crashed: Vec<_> = crashed
        .iter()
        .map(|&(id, death)| (identity(id), death))
        .collect();
    assert_eq!(file.deaths, crashed);
    file
}
