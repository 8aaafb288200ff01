//! No bytes make the reader of the configuration panic, hang or overflow.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| simplest_script::fuzzing::configuration(bytes));
