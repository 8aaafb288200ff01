//! The first lines of the log: what this is, what is live and what is not, and where things are.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::bootstrap::{go_layout, plan, version};
use crate::config::{Config, CronEntry, Partition, Places, QueueEntry};
use crate::membership::{Owner, host, partition_of};
use crate::store::Store;
use crate::store::rows::AliveBoot;

/// Entries of each kind that are named; `check` shows all.
const NAMED: usize = 50;

/// One block, before anything is started.
pub(crate) fn introduce(config: &Config, places: &Places, owner: &Owner) {
    log::info!(
        "simplest_script {} starts: environment {}, partition {}, boot {}, pid {}",
        version::VERSION,
        config.environment,
        config.partition,
        owner.boot(),
        std::process::id()
    );
    let logs = config.settings.logger.path.display();
    log::info!(
        "configuration in {}; tables in {}; data in {}; logs in {logs}/{}-*.log, what cron runs print in {logs}/{}/{}/",
        places.etc.display(),
        config.settings.database.url.redacted(),
        plan::data_dir(config).display(),
        config.partition,
        plan::OUTPUT,
        config.partition
    );
    log::debug!("settings: {:?}", config.settings);
    let all = config.queues.len() + config.crontab.len();
    let not_live = config.why_not_live();
    let crontab = config.crontab.iter();
    let idle = crontab.filter(|entry| entry.live && entry.drives_delay_queue);
    let live = all - not_live.len() - idle.count();
    log::info!("{live} of {all} entries are live");
    let queues = config.live_queues().map(queue);
    say_some("queues", queues.collect());
    let crontab = config.crontab.iter();
    let crontab = crontab.filter(|entry| entry.live && !entry.drives_delay_queue);
    say_some("cron entries", crontab.map(cron).collect());
    say_some("entries", not_live);
    for note in &config.notes {
        log::info!("{note}");
    }
    for hint in go_layout::hints(places) {
        log::warn!("{hint}");
    }
}

fn say_some(what: &str, lines: Vec<String>) {
    for line in lines.iter().take(NAMED) {
        log::info!("{line}");
    }
    if lines.len() > NAMED {
        log::info!(
            "and {} more {what}: `{} check` shows all",
            lines.len() - NAMED,
            version::program()
        );
    }
}

fn queue(entry: &QueueEntry) -> String {
    let source = entry.source.describe();
    let rest = entry.limits.progress.get();
    let size = match entry.limits.max_progress {
        Some(most) if most.get() > rest => format!("{rest} to {most} consumers"),
        _ => format!("consumers: {rest}"),
    };
    format!(
        "live: queue `{}`, {source}, `{}`, {size}",
        entry.name, entry.exec_cmd
    )
}

fn cron(entry: &CronEntry) -> String {
    format!(
        "live: cron `{}`, `{}` in {}, `{}`",
        entry.name, entry.expression, entry.timezone, entry.exec_cmd
    )
}

/// A redeploy overlaps, and that is well; two of a partition by mistake should be noticed. Not knowing is no reason
/// not to start.
pub(crate) async fn mention_others(store: &dyn Store, partition: &Partition) {
    let boots = store.reader().alive_boots().await.map(|all| {
        let of_partition = |boot: &AliveBoot| partition_of(&boot.owner) == partition.as_ref();
        all.into_iter().filter(of_partition).collect::<Vec<_>>()
    });
    for boot in boots
        .unwrap_or_default()
        .iter()
        .filter(|boot| !is_gone(boot))
    {
        log::warn!(
            "another daemon of partition {partition} uses this database: {}, pid {} on {}, heartbeat {} s ago; they share \
             the work until one of them stops",
            boot.owner,
            boot.pid,
            boot.host,
            boot.silent_ms / 1000
        );
    }
}

/// A daemon of this machine that was killed a moment ago is still alive by its row.
fn is_gone(boot: &AliveBoot) -> bool {
    boot.host == host()
        && Pid::from_raw(boot.pid).is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_machine_is_known_to_be_gone() {
        let boot = |host: String, pid| AliveBoot {
            started_ms: 0,
            owner: "script1/a".to_owned(),
            host,
            pid,
            silent_ms: 1,
            version: None,
        };
        assert!(!is_gone(&boot(host(), std::process::id().cast_signed())));
        assert!(is_gone(&boot(host(), i32::MAX)));
        assert!(!is_gone(&boot("elsewhere".to_owned(), i32::MAX)));
    }
}
