//! One value of a file, read as what it should be.
//!
//! Each reading answers `None` where the value is another, and has recorded the fault then: a
//! reader of many values reads them all first and gives up afterwards.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    rc::Rc,
};

use jsonc_parser::{
    ast::{ObjectProp, Value},
    common::Ranged,
};

use super::fault::Place;
use super::object::Object;
use super::quote;
use super::sketch::{Presence, Sketch};
use super::tree::FileReader;

mod values;

/// In longer strings no place is searched for: a file may hold a thousand faults in one.
const LONGEST_SEARCHED: usize = 64 * 1024;

/// How a pretended member of free keys is called.
const FREE_KEY: &str = "NAME";

/// A value with its file and the way to it.
#[derive(Clone)]
pub(crate) struct Node<'r> {
    file: &'r FileReader<'r>,
    value: &'r Value<'r>,
    path: String,
    pretence: Option<Pretence<'r>>,
}

/// What makes a value a pretended one: where its reading is noted, and one value of each kind for what is inside it.
#[derive(Clone)]
struct Pretence<'r> {
    sketch: Rc<Sketch>,
    values: &'r [Value<'r>],
}

impl<'r> Node<'r> {
    pub(crate) fn root(file: &'r FileReader<'r>, value: &'r Value<'r>) -> Self {
        Self {
            file,
            value,
            path: String::new(),
            pretence: None,
        }
    }

    /// The elements of this array as pretended values of one place, whose readings are noted in `sketch`.
    pub(crate) fn pretended(&self, sketch: &Rc<Sketch>) -> Vec<Self> {
        let Value::Array(array) = self.value else {
            return Vec::new();
        };
        self.pretences(sketch, &array.elements)
    }

    fn pretences(&self, sketch: &Rc<Sketch>, values: &'r [Value<'r>]) -> Vec<Self> {
        let pretended = |value| Self {
            file: self.file,
            value,
            path: String::new(),
            pretence: Some(Pretence {
                sketch: Rc::clone(sketch),
                values,
            }),
        };
        values.iter().map(pretended).collect()
    }

    /// Notes what is taken here, where this is a pretended value.
    fn note(&self, note: impl FnOnce(&Sketch)) {
        if let Some(pretence) = &self.pretence {
            note(&pretence.sketch);
        }
    }

    /// What stands in a place inside this value, where it is a pretended one; `inside` notes the place.
    fn pretended_inside(&self, inside: impl FnOnce(&Sketch) -> Rc<Sketch>) -> Option<Vec<Self>> {
        let pretence = self.pretence.as_ref()?;
        Some(self.pretences(&inside(&pretence.sketch), pretence.values))
    }

    /// What stands under a key, where this is a pretended object.
    pub(crate) fn pretended_members(&self, key: &'static str, presence: Presence) -> Vec<Self> {
        self.pretended_inside(|sketch| sketch.key(key, presence))
            .unwrap_or_default()
    }

    /// Notes that one of these groups of keys must be there.
    pub(crate) fn note_groups(&self, groups: &'static [&'static [&'static str]]) {
        self.note(|sketch| sketch.groups(groups));
    }

    /// Whether further faults of the file are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.file.is_full()
    }

    /// Records a fault at this value.
    pub(crate) fn fault(&self, message: impl Into<String>) {
        self.file.fault(self.value.start(), &self.path, message);
    }

    /// Records a fault at a byte of this string with the environment put in: at the string itself, where anything was
    /// put in.
    pub(crate) fn fault_inside(&self, offset: usize, message: impl Into<String>) {
        if self.is_interpolated() {
            self.fault(message);
        } else {
            self.fault_as_written(offset, message);
        }
    }

    /// Records a fault at a byte of this string as it stands in the file.
    fn fault_as_written(&self, offset: usize, message: impl Into<String>) {
        let start = self.value.start();
        let inside = match self.value {
            Value::StringLit(text) if text.value.len() <= LONGEST_SEARCHED && !self.is_full() => {
                let raw = &self.file.text()[text.range.start + 1..text.range.end - 1];
                escapes::offset_of(raw, offset).map_or(start, |inside| start + 1 + inside)
            }
            _ => start,
        };
        self.file.fault(inside, &self.path, message);
    }

    fn is_interpolated(&self) -> bool {
        matches!(self.value, Value::StringLit(text) if text.value.contains("${"))
    }

    /// A text of this string as a message may show it: what the file holds, where that names a variable.
    pub(crate) fn shown<'s>(&'s self, text: &'s str) -> &'s str {
        match self.value {
            Value::StringLit(written) if self.is_interpolated() => &written.value,
            _ => text,
        }
    }

    /// Records a fault of a key, at the key.
    pub(crate) fn fault_of_key(&self, member: &ObjectProp<'r>, message: impl Into<String>) {
        let path = key_path(&self.path, member.name.as_str());
        self.file.fault(member.start(), &path, message);
    }

    /// Records that another value was wanted.
    pub(crate) fn wanted<T>(&self, what: impl Display) -> Option<T> {
        self.fault(format!("wanted {what}, found {}", self.found()));
        None
    }

    /// The same without showing the value, which may be a secret.
    pub(crate) fn wanted_secret<T>(&self, what: impl Display) -> Option<T> {
        self.fault(format!("wanted {what}, found {}", self.kind()));
        None
    }

    /// Where the value starts.
    pub(crate) fn place(&self) -> Place {
        self.file.place(self.value.start())
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::NullKeyword(_))
    }

    pub(crate) fn is_string(&self) -> bool {
        matches!(self.value, Value::StringLit(_))
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value, Value::NumberLit(_))
    }

    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.value, Value::BooleanLit(_))
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// The elements of an array.
    pub(crate) fn array(&self) -> Option<Vec<Self>> {
        let Value::Array(array) = self.value else {
            return self.wanted_secret("an array `[…]`");
        };
        if let Some(pretended) = self.pretended_inside(Sketch::items) {
            return Some(pretended);
        }
        let node = |(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
            file: self.file,
            pretence: None,
        };
        Some(array.elements.iter().enumerate().map(node).collect())
    }

    /// An object of known keys; those that `read` asked for are the known ones.
    pub(crate) fn object<T>(&self, read: impl FnOnce(&Object<'r, '_>) -> Option<T>) -> Option<T> {
        let members = self.members()?;
        self.note(Sketch::object);
        let object = Object::new(self, members);
        let value = read(&object);
        object.finish();
        value
    }

    /// The values of an object whose keys are free, in the order of the file.
    pub(crate) fn entries(&self) -> Option<Vec<(String, Self)>> {
        let members = self.members()?;
        if let Some(pretended) = self.pretended_inside(Sketch::free_keys) {
            let named = pretended
                .into_iter()
                .map(|node| (FREE_KEY.to_owned(), node));
            return Some(named.collect());
        }
        let entry = |member: &'r ObjectProp<'r>| {
            let key = member.name.as_str();
            if key.is_empty() {
                self.fault_of_key(member, "wanted a name, found an empty string");
            }
            (key.to_owned(), self.member(member))
        };
        Some(members.iter().map(entry).collect())
    }

    /// The keys of an object that is a member of this one, without recording faults.
    pub(crate) fn member_names(&self, key: &str) -> Option<BTreeSet<String>> {
        let Value::Object(object) = self.value else {
            return None;
        };
        let member = object
            .properties
            .iter()
            .find(|member| member.name.as_str() == key)?;
        let inner = member.value.as_object()?;
        Some(
            inner
                .properties
                .iter()
                .map(|member| member.name.as_str().to_owned())
                .collect(),
        )
    }

    /// The node of a member of this object.
    pub(crate) fn member(&self, member: &'r ObjectProp<'r>) -> Self {
        Self {
            file: self.file,
            value: &member.value,
            path: key_path(&self.path, member.name.as_str()),
            pretence: None,
        }
    }

    fn members(&self) -> Option<&'r [ObjectProp<'r>]> {
        let Value::Object(object) = self.value else {
            return self.wanted_secret("an object `{…}`");
        };
        let mut first = HashMap::new();
        for member in &object.properties {
            let earlier = *first.entry(member.name.as_str()).or_insert(member);
            if !std::ptr::eq(earlier, member) {
                let place = self.file.place(earlier.start());
                self.fault_of_key(member, format!("this key is here twice; first at {place}"));
            }
        }
        Some(&object.properties)
    }

    /// What stands in the file: of a string with `${NAME}` that, not what the environment holds.
    fn found(&self) -> String {
        match self.value {
            Value::StringLit(text) => format!("\"{}\"", quote::short(&text.value)),
            Value::NumberLit(number) => quote::short(number.value),
            Value::BooleanLit(boolean) => boolean.value.to_string(),
            _ => self.kind().to_owned(),
        }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::StringLit(_) => "a string",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "a boolean",
            Value::Object(_) => "an object `{…}`",
            Value::Array(_) => "an array `[…]`",
            Value::NullKeyword(_) => "null",
        }
    }
}

/// The way to a member: names with a dot, all else in brackets.
fn key_path(path: &str, key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let key_shown = quote::short(key);
    if key.is_empty() || !key.chars().all(is_plain) {
        format!("{path}[\"{}\"]", key_shown.replace('"', "\\\""))
    } else if path.is_empty() {
        key_shown
    } else {
        format!("{path}.{key_shown}")
    }
}

pub(crate) mod escapes;
#[cfg(test)]
mod tests;
