//! The daemon, as a user of the library would write it: handlers, registered by name.

mod handlers;

use std::process::ExitCode;

use simplest_script::App;

use handlers::{cron, delay, exec};

/// A fast consumer allocates a million times a second: a topic of Kafka is read a fifth faster with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    App::new()
        .consumer("demo_greet", exec::greet)
        .delayed("delay_test", delay::delay_test)
        .cron("crontab_track", cron::crontab_track)
        .main()
}
