//! The daemon, as a user of the library would write it: handlers, registered by name.

mod handlers;

use std::process::ExitCode;

use simplest_script::App;

use handlers::{cron, delay, exec};

fn main() -> ExitCode {
    App::new()
        .consumer("demo_greet", exec::greet)
        .delayed("delay_test", delay::delay_test)
        .cron("crontab_track", cron::crontab_track)
        .main()
}
