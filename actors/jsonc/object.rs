//! An object of known keys.
//!
//! A reader asks for its keys one by one; the keys it asked for are the known ones, so a key is
//! added in one place. What nobody asked for is unknown, what was asked for and is not there is
//! missing; a missing key that is there misspelled is one fault, not two.

use std::cell::{Cell, RefCell};

use jsonc_parser::ast::ObjectProp;

use super::{node::Node, sketch::Presence, suggest};

pub(crate) struct Object<'r, 'n> {
    node: &'n Node<'r>,
    members: &'r [ObjectProp<'r>],
    asked: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<Missing<'r>>>,
    foreign: Cell<Option<Foreign>>,
}

/// Keys of another program, and what to say of one.
type Foreign = (&'static [&'static str], &'static str);

/// Missing keys, which are reported unless one of them is there misspelled.
struct Missing<'r> {
    keys: Vec<&'static str>,
    at: Node<'r>,
    message: String,
}

impl<'r, 'n> Object<'r, 'n> {
    pub(crate) fn new(node: &'n Node<'r>, members: &'r [ObjectProp<'r>]) -> Self {
        Self {
            node,
            members,
            asked: RefCell::default(),
            missing: RefCell::default(),
            foreign: Cell::default(),
        }
    }

    /// Keys of another program's file, which `advice` speaks for better than a similar key of ours.
    pub(crate) fn foreign(&self, keys: &'static [&'static str], advice: &'static str) {
        self.foreign.set(Some((keys, advice)));
    }

    /// The value of a key that must be there; `what` describes it in the fault of a missing one.
    pub(crate) fn required<T>(
        &self,
        key: &'static str,
        what: &'static str,
        mut read: impl FnMut(&Node<'r>) -> Option<T>,
    ) -> Option<T> {
        self.describe(key, Presence::Required, &mut read);
        match self.get(key) {
            Some(node) => read(&node),
            None => {
                let message = if self.node.is_full() {
                    String::new()
                } else {
                    format!("`{key}` is missing: {what}")
                };
                self.lacks(&[key], self.node.clone(), message);
                None
            }
        }
    }

    /// The value of a key, or its default where it is not there.
    pub(crate) fn optional<T>(
        &self,
        key: &'static str,
        default: T,
        mut read: impl FnMut(&Node<'r>) -> Option<T>,
    ) -> Option<T> {
        self.describe(key, Presence::Optional, &mut read);
        match self.get(key) {
            Some(node) => read(&node),
            None => Some(default),
        }
    }

    /// The value of a key that may be left out or `null`.
    pub(crate) fn maybe<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&Node<'r>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.optional(key, None, |node| node.nullable(&mut read))
    }

    /// Has the reader of a key note what it takes, where the object is a pretended one.
    fn describe<T>(
        &self,
        key: &'static str,
        presence: Presence,
        read: &mut impl FnMut(&Node<'r>) -> Option<T>,
    ) {
        for node in self.node.pretended_members(key, presence) {
            read(&node);
        }
    }

    /// Notes that one of these groups of keys must be there, and not empty.
    pub(crate) fn needs_one_of(&self, groups: &'static [&'static [&'static str]]) {
        self.node.note_groups(groups);
    }

    /// A key's node, where it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Node<'r>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let member = self
            .members
            .iter()
            .find(|member| member.name.as_str() == key)?;
        Some(self.node.member(member))
    }

    /// The object itself, where a fault of all of it belongs.
    pub(crate) fn here(&self) -> Node<'r> {
        self.node.clone()
    }

    /// Where a fault of this key belongs: at its value, else at the object.
    pub(crate) fn place_of(&self, key: &'static str) -> Node<'r> {
        self.get(key).unwrap_or_else(|| self.node.clone())
    }

    /// Records that keys are missing, at a place of this object; not reported where one of them is misspelled.
    pub(crate) fn lacks(&self, keys: &[&'static str], at: Node<'r>, message: impl Into<String>) {
        self.missing.borrow_mut().push(Missing {
            keys: keys.to_vec(),
            at,
            message: message.into(),
        });
    }

    /// Records unknown and missing keys.
    pub(crate) fn finish(self) {
        let known = self.asked.into_inner();
        let mut missing = self.missing.into_inner();
        for member in self.members {
            let key = member.name.as_str();
            if known.contains(&key) {
                continue;
            }
            if self.node.is_full() {
                self.node.fault_of_key(member, "unknown key");
                continue;
            }
            if let Some((keys, advice)) = self.foreign.get()
                && keys.contains(&key)
            {
                self.node
                    .fault_of_key(member, format!("unknown key; {advice}"));
                continue;
            }
            if let Some(meant) = suggest::nearest(key, known.iter().copied()) {
                missing.retain(|missing| !missing.keys.contains(&meant));
            }
            let hint = suggest::hint(key, "the keys here are", known.iter().copied());
            self.node.fault_of_key(member, format!("unknown key{hint}"));
        }
        for missing in missing {
            missing.at.fault(missing.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::faults;

    fn read(text: &str) -> Vec<String> {
        faults(text, |root| {
            root.object(|o| {
                let name = o.required("name", "shown to people", |node| node.string());
                let size = o.optional("size", 1, |node| node.integer(1..=9));
                let zone = o.maybe("zone", |node| node.string());
                Some((name?, size?, zone?))
            })
        })
    }

    #[test]
    fn optional_keys_may_be_left_out() {
        assert!(read("{\"name\": \"a\"}").is_empty());
        assert!(read("{\"name\": \"a\", \"zone\": null, \"size\": 3}").is_empty());
    }

    #[test]
    fn all_faults_of_an_object_are_reported() {
        assert_eq!(
            read("{\"sise\": 1, \"size\": 10,\n \"zone\": 1}"),
            [
                "f:1:1: `name` is missing: shown to people",
                "f:1:2: `sise`: unknown key; did you mean `size`?",
                "f:1:21: `size`: wanted a whole number from 1 to 9, found 10",
                "f:2:10: `zone`: wanted a string, found 1",
            ]
        );
    }

    #[test]
    fn a_misspelled_key_is_one_fault() {
        assert_eq!(
            read("{\"nmae\": \"a\"}"),
            ["f:1:2: `nmae`: unknown key; did you mean `name`?"]
        );
    }

    #[test]
    fn a_key_that_is_like_none_gets_the_list() {
        assert_eq!(
            read("{\"name\": \"a\", \"colour\": 1}"),
            ["f:1:15: `colour`: unknown key; the keys here are `name`, `size`, `zone`"]
        );
    }

    #[test]
    fn a_key_may_be_there_once() {
        assert_eq!(
            read("{\"name\": \"a\",\n\"name\": \"b\"}"),
            ["f:2:1: `name`: this key is here twice; first at 1:2"]
        );
    }

    #[test]
    fn another_value_is_no_object() {
        assert_eq!(
            read("[]"),
            ["f:1:1: wanted an object `{…}`, found an array `[…]`"]
        );
    }
}
