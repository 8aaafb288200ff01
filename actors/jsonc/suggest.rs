//! "Did you mean": the nearest of the names that would have been right.

use super::quote;

/// Longer names are no typing errors; and the distance takes time by length times length.
const LONGEST: usize = 64;

/// Characters of a name for each slip that is forgiven; one slip always is.
const CHARS_PER_SLIP: usize = 3;

/// How many candidates are compared; there are some 600 time zones.
const MOST_COMPARED: usize = 1_000;
/// How many right names are listed where none is near.
const LISTED: usize = 8;

/// The candidate that `found` is most likely a slip of.
pub(crate) fn nearest<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = found.chars().count();
    if length > LONGEST {
        return None;
    }
    let slips = (length / CHARS_PER_SLIP).max(1);
    let found = found.to_lowercase();
    candidates
        .into_iter()
        .take(MOST_COMPARED)
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= slips)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&found, &candidate.to_lowercase()),
                candidate,
            )
        })
        // A name of which nothing is left is another name, not a slip: `a` is not `b`.
        .filter(|(distance, _)| *distance <= slips && *distance < length)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to say after a name that is not among `candidates`: the nearest, or all when they are few.
///
/// Starts with `; ` where there is something to say; `listed` introduces the list.
pub(crate) fn hint<'a>(
    found: &str,
    listed: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(near) = nearest(found, candidates.clone()) {
        return format!("; did you mean {}?", quote::name(near));
    }
    match candidates.clone().into_iter().take(LISTED + 1).count() {
        0 => format!("; {listed} none"),
        count if count <= LISTED => format!("; {listed} {}", quote::names(candidates)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["progress", "progress_lag_limit", "name", "key"];

    #[test]
    fn slips_are_found() {
        for (found, meant) in [
            ("progress_lag_limt", Some("progress_lag_limit")),
            ("progres", Some("progress")),
            ("rpogress", Some("progress")),
            ("Name", Some("name")),
            ("kye", Some("key")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(found, KEYS), meant, "{found}");
        }
    }

    #[test]
    fn an_endless_name_is_not_compared() {
        assert_eq!(nearest(&"progress".repeat(100_000), KEYS), None);
    }

    #[test]
    fn a_hint_is_the_nearest_or_the_list() {
        assert_eq!(hint("nmae", "known:", KEYS), "; did you mean `name`?");
        assert_eq!(hint("colour", "known:", ["a", "b"]), "; known: `a`, `b`");
        assert_eq!(hint("colour", "known:", []), "; known: none");
        assert_eq!(hint("colour", "known:", [""; LISTED + 1]), "");
    }
}
