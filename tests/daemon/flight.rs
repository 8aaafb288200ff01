//! Who may have run twice: what was in flight when its daemon was killed.

use std::time::Duration;

use crate::ledger::{Ledger, Line};
use crate::process::Killed;

/// What ran twice was in flight at a kill: its end was not durable yet, and its first run is at most so old. Usually it
/// is a tenth of that; the machine may be compiling something else, and the disk be slow.
const IN_FLIGHT: Duration = Duration::from_secs(3);

/// Every run but the last was in flight when its own daemon was killed, and the next one came after that. Answers how
/// many ran more than once, and how long before its kill the oldest of those runs was.
#[track_caller]
pub fn only_what_was_in_flight_ran_twice(ledger: &Ledger, kills: &[Killed]) -> (usize, Duration) {
    only_what_was_younger_ran_twice(ledger, kills, IN_FLIGHT)
}

/// As above, where a message that has run stays in flight for this long.
#[track_caller]
pub fn only_what_was_younger_ran_twice(
    ledger: &Ledger,
    kills: &[Killed],
    in_flight: Duration,
) -> (usize, Duration) {
    let in_flight_us = i64::try_from(in_flight.as_micros()).unwrap();
    let mut oldest_us = 0;
    let doubled = ledger.doubled();
    for runs in &doubled {
        for pair in runs.windows(2) {
            let (run, next) = (pair[0], pair[1]);
            let kill = kills.iter().find(|kill| kill.pid == run.pid);
            let Some(kill) = kill
                .filter(|kill| in_flight_at(kill, run, in_flight_us) && next.at_us > kill.from_us)
            else {
                panic!("ran twice, and was not in flight at a kill: {runs:#?} {kills:#?}");
            };
            oldest_us = oldest_us.max(kill.from_us - run.at_us);
        }
    }
    (
        doubled.len(),
        Duration::from_micros(oldest_us.unsigned_abs()),
    )
}

fn in_flight_at(kill: &Killed, line: &Line, in_flight_us: i64) -> bool {
    line.at_us >= kill.from_us - in_flight_us && line.at_us <= kill.until_us
}
