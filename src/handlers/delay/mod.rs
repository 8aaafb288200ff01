//! Delayed tasks. The names they are registered under are what is pushed as `exec_cmd`.

mod delay_test;

pub use delay_test::delay_test;
