//! Arbitrary bytes as an expression, a zone and a moment: the entry of `fuzz/` and of a seeded test.

use std::time::{Duration, Instant};

use chrono::DateTime;
use chrono_tz::{TZ_VARIANTS, Tz};

use super::Schedule;

/// No search may take longer, even on a machine that is busy with other things.
const BOUNDED: Duration = Duration::from_secs(5);
/// The moments asked about: 1970 to 2105, as far as four bytes of seconds reach.
const MOMENT_BYTES: usize = 4;
const ZONE_BYTES: usize = 2;
/// Fires that are asked for, one after another.
const FIRES: usize = 5;

/// Reads the bytes: a moment, a zone, and the rest is the expression.
///
/// # Panics
///
/// When a fire is not after the moment it was asked for, a refusal points outside of the expression, or an answer does
/// not come.
#[doc(hidden)]
pub fn schedule(bytes: &[u8]) {
    let Some((moment, rest)) = bytes.split_first_chunk::<MOMENT_BYTES>() else {
        return;
    };
    let Some((zone, text)) = rest.split_first_chunk::<ZONE_BYTES>() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let begun = Instant::now();
    let zone: Tz = TZ_VARIANTS[usize::from(u16::from_le_bytes(*zone)) % TZ_VARIANTS.len()];
    let moment = DateTime::from_timestamp(i64::from(u32::from_le_bytes(*moment)), 0);
    match (text.parse::<Schedule>(), moment) {
        (Err(error), _) => {
            assert!(error.offset() <= text.len(), "{text:?}: {error:?}");
            assert!(text.is_char_boundary(error.offset()), "{text:?}: {error:?}");
            assert!(!error.to_string().is_empty(), "{text:?}");
        }
        (Ok(schedule), Some(moment)) => {
            let mut at = moment.with_timezone(&zone);
            for _ in 0..FIRES {
                let Some(next) = schedule.next_after(&at) else {
                    break;
                };
                assert!(next > at, "{text:?} in {zone}: {next} is not after {at}");
                at = next;
            }
        }
        (Ok(_), None) => {}
    }
    let took = begun.elapsed();
    assert!(took < BOUNDED, "{text:?} in {zone}: {took:?}");
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;

    use super::*;

    /// How many expressions are tried without `FUZZ_TRIES`: some seconds.
    const TRIES: usize = 20_000;
    const PIECES: [&str; 20] = [
        "*",
        "?",
        "/",
        "-",
        ",",
        " ",
        "0",
        "7",
        "59",
        "60",
        "99999999999",
        "L",
        "W",
        "#",
        "MON",
        "sun-sat",
        "@every ",
        "1h",
        "\t",
        "测",
    ];

    /// The expressions of the oracle, broken at random, the same ones each time. More of them with
    /// `FUZZ_TRIES=1000000 cargo test --lib schedule::fuzzing`.
    #[test]
    fn no_text_makes_a_schedule_panic_or_hang() {
        let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/fires.tsv");
        let oracle = fs::read_to_string(oracle).unwrap();
        let seeds: Vec<&str> = oracle
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        let tries = env::var("FUZZ_TRIES").map_or(TRIES, |tries| tries.parse().unwrap());
        let mut rng = fastrand::Rng::with_seed(7);
        let mut accepted = 0;
        for _ in 0..tries {
            let mut text = (*rng.choice(&seeds).unwrap()).to_owned();
            for _ in 0..rng.usize(0..4) {
                let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let at = rng.choice(&places).copied().unwrap_or(0);
                match rng.u8(0..3) {
                    0 if !text.is_empty() => drop(text.remove(at)),
                    1 => text.insert_str(at, rng.choice(&PIECES).unwrap()),
                    _ => {
                        let other = rng.choice(&seeds).unwrap();
                        text.truncate(at);
                        text.push_str(&other[other.len() / 2..]);
                    }
                }
            }
            accepted += usize::from(text.parse::<Schedule>().is_ok());
            let bytes = [
                &rng.u32(..).to_le_bytes()[..],
                &rng.u16(..).to_le_bytes(),
                text.as_bytes(),
            ];
            schedule(&bytes.concat());
        }
        assert!(
            accepted > tries / 10,
            "many are right: {accepted} of {tries}"
        );
    }
}
