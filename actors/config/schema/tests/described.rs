//! Each key that a reader knows is described, with its default.

use super::*;

#[test]
fn each_key_is_described_in_both_languages() {
    let mut keys = 0;
    let mut wrong = Vec::new();
    for file in File::ALL {
        let words = words::of(file);
        walk(&file.sketch(&commands()), "", &mut |path, notes| {
            keys += 1;
            let [english, chinese] = [Languages::English, Languages::Chinese]
                .map(|language| words.description(path, language).unwrap_or_default());
            let is_chinese = chinese.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // Two names of levels and of webhooks are the same in both.
            if english.is_empty() || chinese.is_empty() || !is_chinese && english != chinese {
                wrong.push(format!(
                    "{}: `{path}`: `{english}`, `{chinese}`",
                    file.name()
                ));
            }
            let taken = notes.anything
                || notes.null
                || notes.boolean
                || notes.number.is_some()
                || notes.string.is_some()
                || notes.array.is_some()
                || notes.object.is_some();
            if !taken {
                wrong.push(format!("{}: `{path}` takes no value at all", file.name()));
            }
        });
    }
    assert!(
        wrong.is_empty(),
        "each key needs a row in the tables of keys of docs/, in both languages (or in `others.rs`):\n{}",
        wrong.join("\n")
    );
    assert!(keys > 80, "{keys}");
}

#[test]
fn nothing_is_described_that_no_reader_knows() {
    let mut unknown = Vec::new();
    for file in File::ALL {
        let mut known = Vec::new();
        walk(&file.sketch(&commands()), "", &mut |path, _| {
            known.push(path.to_owned());
        });
        let of_documents = words::of(file).paths();
        unknown.extend(
            of_documents
                .into_iter()
                .filter(|path| !known.contains(path)),
        );
    }
    assert_eq!(unknown, [""; 0], "rows of docs/ without a key");
}

/// Puts a value under a path, below objects that are made where they are not there.
fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for part in path.split('.') {
        if let Value::Array(all) = at {
            at = &mut all[0];
        }
        let part = part.replace(words::ANY, "ledger");
        let keys = at.as_object_mut().unwrap();
        at = keys.entry(part).or_insert_with(|| json!({}));
    }
    *at = value;
}

/// The same without what stands under a path.
fn without(mut root: Value, path: &str) -> Value {
    let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = Some(&mut root);
    for part in above.split('.').filter(|part| !part.is_empty()) {
        at = at.and_then(|at| at.get_mut(part.replace(words::ANY, "ledger")));
    }
    match at {
        Some(Value::Object(keys)) => drop(keys.remove(key)),
        Some(Value::Array(all)) => drop(all[0].as_object_mut().unwrap().remove(key)),
        _ => {}
    }
    root
}

#[test]
fn a_documented_default_is_what_a_missing_key_means() {
    let mut defaults = 0;
    for file in File::ALL {
        let words = words::of(file);
        walk(&file.sketch(&commands()), "", &mut |path, _| {
            let Some(default) = words.default(path) else {
                return;
            };
            let tried = bases(file).into_iter().map(|base| {
                let mut with = base.clone();
                put(&mut with, path, default.clone());
                let base = without(base, path);
                (read(file, &base.to_string()), read(file, &with.to_string()))
            });
            let same = |tried: &(Result<String, _>, Result<String, Vec<String>>)| {
                tried.0.is_ok() && tried.0.as_ref().ok() == tried.1.as_ref().ok()
            };
            let tried: Vec<_> = tried.collect();
            assert!(tried.iter().any(same), "`{path}`: {default}: {tried:#?}");
            defaults += 1;
        });
    }
    assert!(defaults > 30, "{defaults}");
}
