//! Names of tables and columns as names of Rust.

use std::collections::BTreeSet;

use crate::config::is_keyword;

/// Names that the code made of a table has already: of its module, or of what every module knows.
const TAKEN: [&str; 17] = [
    "all_columns",
    "bigdecimal",
    "bool",
    "chrono",
    "columns",
    "core",
    "diesel",
    "dsl",
    "ipnet",
    "serde",
    "serde_json",
    "sql_types",
    "star",
    "std",
    "str",
    "table",
    "uuid",
];
/// Types that the models are made of.
const TAKEN_TYPES: [&str; 8] = [
    "Option", "Vec", "String", "Some", "None", "Ok", "Err", "Box",
];

/// `OrderID` and `order id` are `order_id`. A keyword gets a `_` at its end: a raw name (`r#type`) cannot be one of the
/// columns of `table!` in every place where diesel writes it.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let (mut was_lower, mut was_upper) = (false, false);
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        let ends_capitals = was_upper && letters.peek().is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (was_lower || ends_capitals) {
            snake.push('_');
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        was_upper = c.is_uppercase();
        match c.is_alphabetic() || c.is_ascii_digit() {
            true => snake.extend(
                c.to_lowercase()
                    .filter(|c| c.is_alphabetic() || c.is_ascii_digit()),
            ),
            false => snake.push('_'),
        }
    }
    if !snake.chars().any(char::is_alphanumeric) {
        snake.push_str("name");
    }
    if snake.starts_with(|c: char| c.is_ascii_digit()) {
        snake.insert(0, '_');
    }
    if is_keyword(&snake) || TAKEN.contains(&snake.as_str()) {
        snake.push('_');
    }
    snake
}

/// `order_items` is `OrderItems`.
pub(super) fn pascal(name: &str) -> String {
    let mut pascal = String::new();
    for word in snake(name).split('_') {
        let mut letters = word.chars();
        pascal.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        pascal.push_str(letters.as_str());
    }
    if pascal.starts_with(|c: char| c.is_ascii_digit()) {
        pascal.insert(0, 'N');
    }
    if TAKEN_TYPES.contains(&pascal.as_str()) || is_keyword(&pascal) {
        pascal.push_str("Model");
    }
    pascal
}

/// The name, or with a number where another has it; in the order of the database, so that it is the same each time.
pub(super) fn free(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}_{number}");
        number += 1;
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_of_rust() {
        for (name, snaked, pascaled) in [
            ("orders", "orders", "Orders"),
            ("OrderID", "order_id", "OrderId"),
            ("DBConsole", "db_console", "DbConsole"),
            ("order items", "order_items", "OrderItems"),
            ("type", "type_", "Type"),
            ("Self", "self_", "SelfModel"),
            ("2fa", "_2fa", "N2fa"),
            ("-", "_name", "Name"),
            ("订单", "订单", "订单"),
            ("option", "option", "OptionModel"),
            ("table", "table_", "Table"),
        ] {
            assert_eq!(snake(name), snaked, "{name}");
            assert_eq!(pascal(name), pascaled, "{name}");
        }
    }

    #[test]
    fn equal_model_names_get_a_number() {
        let mut taken = BTreeSet::new();
        assert_eq!(free("a".to_owned(), &mut taken), "a");
        assert_eq!(free("a".to_owned(), &mut taken), "a_2");
    }
}
