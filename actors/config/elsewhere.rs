//! What the files of other partitions say, as far as it matters to this one.

use std::collections::BTreeSet;
use std::fs;

use jsonc_parser::ast::Value;

use super::Places;
use crate::jsonc::{file, syntax};

/// The `table` queues that other partitions name, in files of the same directory. A file that cannot be read names none:
/// it is another partition's fault, and reported there.
pub(crate) fn tables_of_other_partitions(places: &Places) -> BTreeSet<String> {
    let own = places.queues();
    let entries = fs::read_dir(&places.etc).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let others = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        *path != own && name.starts_with("queue_") && name.ends_with(".json")
    });
    let texts = others.filter_map(|path| file::read(&path, String::new).ok());
    texts.flat_map(|text| tables(&text)).collect()
}

fn tables(text: &str) -> Vec<String> {
    let Ok(Some(Value::Array(entries))) = syntax::parse(text) else {
        return Vec::new();
    };
    let entries = entries
        .elements
        .iter()
        .filter_map(|entry| entry.as_object());
    let table = entries.filter_map(|entry| entry.get_string("table"));
    table.map(|table| table.value.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_from_what_other_partitions_say() {
        let text = r#"[ // ours
            {"name": "a", "table": "orders"}, {"name": "b", "key": "k"}, 7, {"table": "clicks"} ]"#;
        assert_eq!(tables(text), ["orders", "clicks"]);
        assert!(tables("{").is_empty() && tables("").is_empty());
    }
}
