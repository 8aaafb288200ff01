//! Without cargo-fuzz: the files of the corpora, broken at random, the same ones each time. More of them with
//! `FUZZ_TRIES=1000000 cargo test --lib no_bytes`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::configuration;

/// How many files are tried without `FUZZ_TRIES`; a second or two.
const TRIES: usize = 4_000;
/// No file that is small takes longer, even on a busy machine.
const A_HANG: Duration = Duration::from_secs(5);

/// What takes the place of a piece of a file.
const PIECES: [&str; 32] = [
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "//",
    "/*",
    "*/",
    "\\",
    "\\u",
    "\\ud83d",
    "${",
    "${NAME}",
    "$${",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{feff}",
    "测",
    "😀",
    "-",
    "0",
    "1e999",
    "99999999999999999999",
    "null",
    "*/0",
    "@every ",
    ".",
];

fn seeds() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut seeds = Vec::new();
    for corpus in ["refusals", "accepted"] {
        for case in fs::read_dir(tests.join(corpus)).unwrap() {
            for file in fs::read_dir(case.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    seeds.push((path.clone(), fs::read(path).unwrap()));
                }
            }
        }
    }
    seeds.sort();
    seeds.into_iter().map(|(_, bytes)| bytes).collect()
}

#[test]
fn no_bytes_make_the_reader_panic_or_hang() {
    let seeds = seeds();
    assert!(seeds.len() > 100, "{}", seeds.len());
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let tries = std::env::var("FUZZ_TRIES").map_or(TRIES, |tries| tries.parse().unwrap());
    for _ in 0..tries {
        let bytes = broken(&seeds, &mut random);
        let started = Instant::now();
        configuration(&bytes);
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        assert!(started.elapsed() < A_HANG, "{}", text());
    }
}

fn broken(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let one = |random: &mut fastrand::Rng| &seeds[random.usize(..seeds.len())];
    let mut bytes = one(random).clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..8)).min(bytes.len());
        match random.u8(..5) {
            0 => bytes.truncate(at),
            1 => {
                // The end of another file.
                let other = one(random);
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let byte = random.u8(..);
                bytes.splice(at..end, [byte]);
            }
            _ => {
                let piece = PIECES[random.usize(..PIECES.len())];
                bytes.splice(at..end, piece.bytes());
            }
        }
    }
    bytes
}
