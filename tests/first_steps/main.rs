//! The first five minutes, from outside: `check`, `init`, `import`, `completions`, and the first lines of a start.

mod check;
mod new_project;
mod start;
mod world;
