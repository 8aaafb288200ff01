//! What a value may be, noted while its reader reads it: the JSON Schema is made of this.
//!
//! To describe a file, its reader is handed one pretended value of each kind in each place (`null`, `false`, `0`, `""`,
//! `[]`, `{}`). Each reading of a [`Node`](super::node::Node) notes here what it takes, with its bounds; a kind that no
//! reading takes is not allowed. So a key, a range or a word that the reader knows is in the schema, and no other is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Number;

/// One value of each kind, as a file.
pub(crate) const PRETENDED: &str = "[null, false, 0, \"\", [], {}]";

/// What one value may be.
#[derive(Debug, Default)]
pub(crate) struct Sketch(RefCell<Notes>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    /// Any JSON at all.
    pub(crate) anything: bool,
    pub(crate) null: bool,
    pub(crate) boolean: bool,
    pub(crate) number: Option<Range>,
    pub(crate) string: Option<Text>,
    /// What each element may be.
    pub(crate) array: Option<Rc<Sketch>>,
    /// It has one element or more, each once.
    pub(crate) each_once: bool,
    pub(crate) object: Option<Keys>,
}

/// What a number may be.
#[derive(Debug, Default, Clone)]
pub(crate) struct Range {
    pub(crate) whole: bool,
    /// The least and the most.
    pub(crate) bounds: Option<(Number, Number)>,
}

/// What a string may be, before the environment is put in.
#[derive(Debug, Default, Clone)]
pub(crate) struct Text {
    /// An empty string is refused.
    pub(crate) filled: bool,
    /// Characters at most.
    pub(crate) longest: Option<usize>,
    /// One of these.
    pub(crate) words: Vec<String>,
    pub(crate) form: Option<Form>,
    /// What may be meant, among others.
    pub(crate) examples: Vec<String>,
}

/// How a string is written.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// A regular expression that both Rust and JavaScript know.
    pub(crate) pattern: String,
    /// The same for people.
    pub(crate) what: &'static str,
    /// And in Chinese.
    pub(crate) chinese: &'static str,
}

/// What an object may hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Keys {
    pub(crate) known: BTreeMap<&'static str, Key>,
    /// What stands under each key, where keys are free.
    pub(crate) free: Option<Rc<Sketch>>,
    /// Groups of keys, of which one must be there and hold strings that are not empty.
    pub(crate) groups: &'static [&'static [&'static str]],
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Key {
    pub(crate) required: bool,
    pub(crate) value: Rc<Sketch>,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
}

impl Sketch {
    pub(crate) fn notes(&self) -> Notes {
        self.0.borrow().clone()
    }

    pub(crate) fn anything(&self) {
        self.0.borrow_mut().anything = true;
    }

    pub(crate) fn null(&self) {
        self.0.borrow_mut().null = true;
    }

    pub(crate) fn boolean(&self) {
        self.0.borrow_mut().boolean = true;
    }

    /// Any number.
    pub(crate) fn number(&self) {
        self.0.borrow_mut().number.get_or_insert_default();
    }

    pub(crate) fn integer(&self, least: u64, most: u64) {
        self.0.borrow_mut().number = Some(Range {
            whole: true,
            bounds: Some((least.into(), most.into())),
        });
    }

    /// A number of seconds, with a fraction perhaps.
    pub(crate) fn seconds(&self, least: f64, most: f64) {
        self.0.borrow_mut().number = Some(Range {
            whole: false,
            bounds: Number::from_f64(least).zip(Number::from_f64(most)),
        });
    }

    /// A string; `note` adds what it must be.
    pub(crate) fn string(&self, note: impl FnOnce(&mut Text)) {
        note(self.0.borrow_mut().string.get_or_insert_default());
    }

    pub(crate) fn items(&self) -> Rc<Self> {
        Rc::clone(self.0.borrow_mut().array.get_or_insert_default())
    }

    /// An array of one element or more, each once.
    pub(crate) fn each_once(&self) {
        self.0.borrow_mut().each_once = true;
    }

    /// An object, whose keys are noted one by one.
    pub(crate) fn object(&self) {
        self.0.borrow_mut().object.get_or_insert_default();
    }

    pub(crate) fn key(&self, key: &'static str, presence: Presence) -> Rc<Self> {
        let mut notes = self.0.borrow_mut();
        let keys = notes.object.get_or_insert_default();
        let noted = keys.known.entry(key).or_default();
        noted.required |= presence == Presence::Required;
        Rc::clone(&noted.value)
    }

    pub(crate) fn free_keys(&self) -> Rc<Self> {
        let mut notes = self.0.borrow_mut();
        let keys = notes.object.get_or_insert_default();
        Rc::clone(keys.free.get_or_insert_default())
    }

    pub(crate) fn groups(&self, groups: &'static [&'static [&'static str]]) {
        let mut notes = self.0.borrow_mut();
        notes.object.get_or_insert_default().groups = groups;
    }
}
