//! Each reading takes what it should, and reports what it found and what it wanted.

use std::time::Duration;

use crate::jsonc::duration::Bounds;
use crate::jsonc::testing::{faults, good};

#[test]
fn whole_numbers_have_a_range() {
    assert_eq!(good("7", |node| node.integer(1..=9)), 7);
    assert_eq!(
        good("18446744073709551615", |node| node.integer(0..=u64::MAX)),
        u64::MAX
    );
    for text in [
        "0",
        "10",
        "-1",
        "1.5",
        "1e-1",
        "1e99",
        "18446744073709551616",
        "true",
        "null",
    ] {
        assert_eq!(
            faults(text, |node| node.integer(1..=9)),
            [format!(
                "f:1:1: wanted a whole number from 1 to 9, found {text}"
            )]
        );
    }
    assert_eq!(
        faults("\"3\"", |node| node.integer(1..=9)),
        ["f:1:1: wanted a whole number from 1 to 9, without quotes, found \"3\""]
    );
    for text in ["1.0", "1e0", "9.00"] {
        let written = "written without point or exponent";
        assert_eq!(
            faults(text, |node| node.integer(1..=9)),
            [format!(
                "f:1:1: wanted a whole number from 1 to 9, {written}, found {text}"
            )]
        );
    }
    let endless = faults(&"9".repeat(100_000), |node| node.integer(1..=9));
    assert!(endless[0].len() < 200, "{endless:?}");
}

#[test]
fn a_number_too_large_for_its_type_is_refused() {
    assert_eq!(
        faults("300", |node| node.small::<u8>(0..=999)),
        ["f:1:1: this number is too large"]
    );
}

#[test]
fn the_environment_is_put_into_strings() {
    assert_eq!(good("\"a ${NAME}\"", |node| node.string()), "a zeshi");
    assert_eq!(
        faults("\"测 ${UNSET}\"", |node| node.string()),
        ["f:1:4: the environment variable `UNSET` is not set (or is not UTF-8)"]
    );
}

#[test]
fn what_the_environment_holds_is_not_shown() {
    let all = faults("\"${SECRET}\"", |node| node.duration(&BOUNDS));
    assert!(all[0].ends_with("found \"${SECRET}\""), "{all:?}");
}

#[test]
fn a_place_inside_a_string_is_found_however_it_is_written() {
    for (text, place) in [
        ("\"测ab\"", "f:1:3"),
        ("\"\\u6d4bab\"", "f:1:8"),
        // What the environment holds is longer or shorter than its name.
        ("\"测${NAME}\"", "f:1:1"),
    ] {
        let all = faults(text, |node| node.fault_inside("测".len(), "odd"));
        assert_eq!(all, [format!("{place}: odd")], "{text}");
    }
}

#[test]
fn texts_are_not_empty_nor_endless_and_hold_no_nul() {
    assert_eq!(good("\"测试\"", |node| node.text(2)), "测试");
    assert_eq!(
        faults("\"\"", |node| node.text(2)),
        ["f:1:1: wanted a string that is not empty, found \"\""]
    );
    assert_eq!(
        faults("\"测试a\"", |node| node.text(2)),
        ["f:1:1: wanted at most 2 characters, found 3"]
    );
    assert!(faults("\"a\\u0000\"", |node| node.text(2))[0].contains("a NUL character"));
}

#[test]
fn allowed_words_are_listed_in_order() {
    let words = [("allow", 1), ("forbid", 2)];
    assert_eq!(good("\"forbid\"", |node| node.one_of(&words)), 2);
    for text in ["\"Forbid\"", "2", "null"] {
        assert_eq!(
            faults(text, |node| node.one_of(&words)),
            [format!(
                "f:1:1: wanted one of `allow`, `forbid`, found {text}"
            )]
        );
    }
}

const BOUNDS: Bounds = Bounds {
    least: Duration::from_secs(1),
    most: Duration::from_secs(60),
    why: "leave it out for none",
};

#[test]
fn durations_have_bounds() {
    for (text, seconds) in [("30", 30), ("\"1m\"", 60), ("1.0", 1)] {
        let read = good(text, |node| node.duration(&BOUNDS));
        assert_eq!(read, Duration::from_secs(seconds), "{text}");
    }
    for text in ["0", "\"0s\"", "61", "\"999ms\""] {
        assert_eq!(
            faults(text, |node| node.duration(&BOUNDS)),
            [format!(
                "f:1:1: wanted a duration from 1s to 1m (leave it out for none), found {text}"
            )]
        );
    }
    for text in [
        "-1", "\"\"", "\"soon\"", "1e99", "\"30\"", "true", "null", "[]",
    ] {
        let all = faults(text, |node| node.duration(&BOUNDS));
        assert!(all[0].starts_with("f:1:1: wanted a duration"), "{all:?}");
    }
}

#[test]
fn paths_lead_to_the_value() {
    let text = "{\"a\": [{\"b c\": {\"测\": 1}}]}";
    let all = faults(text, |root| {
        let (_, a) = root.entries()?.remove(0);
        let (_, b) = a.array()?.remove(0).entries()?.remove(0);
        let (_, leaf) = b.entries()?.remove(0);
        leaf.fault("here");
        Some(())
    });
    assert_eq!(all, ["f:1:22: `a[0][\"b c\"].测`: here"]);
}

#[test]
fn secrets_are_not_shown() {
    for text in ["12345", "{\"url\": 12345}", "[12345]"] {
        let all = faults(text, |node| node.secret_string());
        assert!(!all.is_empty() && !all[0].contains("12345"), "{all:?}");
    }
    assert!(!faults("\"hunter2\"", |node| node.array().map(drop))[0].contains("hunter2"));
    assert!(!faults("\"hunter2\"", |node| node.entries().map(drop))[0].contains("hunter2"));
}

#[test]
fn any_value_is_taken_as_it_is() {
    let text = "{\"a\": [1, 2.5, null, true, \"${NAME}\"],}";
    let wanted = serde_json::json!({"a": [1, 2.5, null, true, "zeshi"]});
    assert_eq!(good(text, |node| node.json()), wanted);
    assert_eq!(
        faults("[1e999, \"${UNSET}\"]", |node| node.json()).len(),
        2,
        "each fault is reported"
    );
}
