//! The first five minutes, from outside: `check`, `init`, `import`, `completions`, and the first lines of a start.

#![expect(clippy::unwrap_used, reason = "a test ends with its first surprise")]

mod check;
mod memory;
mod new_project;
mod output;
mod servers;
mod start;
mod world;
