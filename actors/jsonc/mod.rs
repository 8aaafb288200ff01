//! JSON with comments, read with every fault and its place; it knows nothing of the daemon's configuration.
//!
//! A text becomes a [`tree`] whose values know their places ([`syntax`]). A [`node`] reads a value as what it should be,
//! and an [`object`] knows the keys that its reader asked for, so that every other key is a fault.

pub(crate) mod duration;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod interpolate;
pub(crate) mod lines;
pub(crate) mod node;
pub(crate) mod object;
pub(crate) mod quote;
pub(crate) mod sketch;
pub(crate) mod suggest;
pub(crate) mod syntax;
pub(crate) mod syntax_hints;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tree;
