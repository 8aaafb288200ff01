//! Arbitrary text as an expression, asked for its next fires: no panic, no hang, and each fire after the one before.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| simplest_script::fuzzing::schedule(bytes));
