//! The package's name, made of the directory's.

/// Where the directory's name leaves nothing.
const FALLBACK: &str = "my_scripts";

/// Words that cargo takes for no package, and the library itself.
const TAKEN: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "simplest_script",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
];

/// Letters, digits, `-` and `_`, beginning with a letter.
pub(super) fn package_name(directory: &str) -> String {
    let text: String = directory
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
            _ => '_',
        })
        .collect();
    let name = text.trim_matches(['_', '-']);
    let known = ["log", "serde"];
    if name.is_empty() {
        FALLBACK.to_owned()
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("scripts_{name}")
    } else if TAKEN.contains(&name)
        || TAKEN.contains(&name.replace('-', "_").as_str())
        || known.contains(&name)
    {
        format!("{name}_scripts")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_becomes_a_package_that_cargo_takes() {
        for (directory, name) in [
            ("orders", "orders"),
            ("My Orders.rs", "my_orders_rs"),
            ("order-jobs", "order-jobs"),
            ("2026", "scripts_2026"),
            ("订单", "my_scripts"),
            ("", "my_scripts"),
            ("test", "test_scripts"),
            ("simplest-script", "simplest-script_scripts"),
            ("serde", "serde_scripts"),
            (".hidden", "hidden"),
        ] {
            assert_eq!(package_name(directory), name, "{directory}");
        }
    }
}
