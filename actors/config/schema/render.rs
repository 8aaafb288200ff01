//! A sketch as a JSON Schema.

use serde_json::{Map, Value, json};

use super::words::{self, Words};
use super::{File, Languages};
use crate::jsonc::sketch::{Form, Keys, Notes, Range, Sketch, Text};

/// The draft.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";
/// In a string, as a regular expression: what the environment is put in for. Only then is known what the string is.
const VARIABLE: &str = "\\$\\{";

/// The schema of a whole file.
pub(super) fn schema(file: File, sketch: &Sketch, languages: Languages) -> Value {
    let renderer = Renderer {
        words: words::of(file),
        languages,
    };
    let mut schema = renderer.value(sketch, "");
    let more = [
        ("$schema", DRAFT.into()),
        ("title", file.title().into()),
        // These two are VS Code's: a file it takes for plain JSON may have both.
        ("allowComments", true.into()),
        ("allowTrailingCommas", true.into()),
    ];
    schema.extend(more.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(schema)
}

struct Renderer {
    words: Words,
    languages: Languages,
}

impl Renderer {
    /// `path` leads to the value as the documents write it: `databases.*.url`.
    fn value(&self, sketch: &Sketch, path: &str) -> Map<String, Value> {
        let notes = sketch.notes();
        let mut schema = Map::new();
        if let Some(description) = self.words.description(path, self.languages) {
            // VS Code shows this one where it is there: without it backticks are shown as they are.
            let markdown = description.replace('\n', "\n\n");
            schema.insert("description".to_owned(), description.into());
            schema.insert("markdownDescription".to_owned(), markdown.into());
        }
        if let Some(default) = self.words.default(path) {
            schema.insert("default".to_owned(), default);
        }
        if notes.anything {
            return schema;
        }
        schema.insert("type".to_owned(), types(&notes));
        if let Some(range) = &notes.number {
            number(&mut schema, range);
        }
        if let Some(text) = &notes.string {
            string(&mut schema, text, &notes, self.languages);
        }
        if let Some(items) = &notes.array {
            let mut items = self.value(items, path);
            // That is described at the whole.
            items.remove("description");
            items.remove("markdownDescription");
            schema.insert("items".to_owned(), items.into());
            if notes.each_once {
                schema.insert("minItems".to_owned(), 1.into());
                schema.insert("uniqueItems".to_owned(), true.into());
            }
        }
        if let Some(keys) = &notes.object {
            self.object(&mut schema, keys, path);
        }
        schema
    }

    fn object(&self, schema: &mut Map<String, Value>, keys: &Keys, path: &str) {
        let below = |key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let properties = keys.known.iter().map(|(key, known)| {
            let value = self.value(&known.value, &below(key));
            ((*key).to_owned(), Value::Object(value))
        });
        let properties: Map<String, Value> = properties.collect();
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        let required = keys.known.iter().filter(|(_, known)| known.required);
        let required: Vec<&str> = required.map(|(key, _)| *key).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        let others = match &keys.free {
            Some(free) => {
                schema.insert("propertyNames".to_owned(), json!({ "minLength": 1 }));
                Value::Object(self.value(free, &below(words::ANY)))
            }
            None => Value::Bool(false),
        };
        schema.insert("additionalProperties".to_owned(), others);
        if !keys.groups.is_empty() {
            let groups: Vec<Value> = keys.groups.iter().map(|keys| group(keys)).collect();
            schema.insert("anyOf".to_owned(), groups.into());
        }
    }
}

/// Strings that are there and not empty.
fn group(keys: &[&str]) -> Value {
    let filled = || json!({ "type": "string", "minLength": 1 });
    let properties: Map<_, _> = keys
        .iter()
        .map(|key| ((*key).to_owned(), filled()))
        .collect();
    json!({ "required": keys, "properties": properties })
}

/// One name, or several; `null` last.
fn types(notes: &Notes) -> Value {
    let number = match &notes.number {
        Some(Range { whole: true, .. }) => "integer",
        _ => "number",
    };
    let all = [
        ("string", notes.string.is_some()),
        (number, notes.number.is_some()),
        ("boolean", notes.boolean),
        ("object", notes.object.is_some()),
        ("array", notes.array.is_some()),
        ("null", notes.null),
    ];
    let taken: Vec<&str> = all
        .into_iter()
        .filter_map(|(name, is_taken)| is_taken.then_some(name))
        .collect();
    match taken[..] {
        [one] => one.into(),
        _ => taken.into(),
    }
}

fn number(schema: &mut Map<String, Value>, range: &Range) {
    if let Some((least, most)) = &range.bounds {
        schema.insert("minimum".to_owned(), least.clone().into());
        schema.insert("maximum".to_owned(), most.clone().into());
    }
}

/// A string with `${NAME}` in it may become anything that is not refused by what is written.
fn string(schema: &mut Map<String, Value>, text: &Text, notes: &Notes, languages: Languages) {
    if text.filled || text.form.is_some() {
        schema.insert("minLength".to_owned(), 1.into());
    }
    if let Some(form) = &text.form {
        let Form {
            pattern,
            what,
            chinese,
        } = form;
        schema.insert("pattern".to_owned(), format!("{pattern}|{VARIABLE}").into());
        // VS Code's, instead of the pattern.
        let wanted = match languages {
            Languages::English => format!("wanted {what}"),
            Languages::Chinese => format!("应为{chinese}"),
            Languages::Both => format!("wanted {what}\n应为{chinese}"),
        };
        schema.insert("patternErrorMessage".to_owned(), wanted.into());
    }
    if !text.examples.is_empty() {
        schema.insert("examples".to_owned(), text.examples.clone().into());
    }
    let bounded = match (text.words.is_empty(), text.longest) {
        (false, _) => json!({ "enum": text.words }),
        (true, Some(longest)) => json!({ "maxLength": longest }),
        (true, None) => return,
    };
    let mut ways = vec![bounded, json!({ "type": "string", "pattern": VARIABLE })];
    let without_string = Notes {
        string: None,
        ..notes.clone()
    };
    let others = types(&without_string);
    if !text.words.is_empty() && others != json!([]) {
        ways.push(json!({ "type": others }));
    }
    schema.insert("anyOf".to_owned(), ways.into());
}
