//! The examples of the help. They name the program that shows them, which is the user's own.

use clap::Command;

use crate::bootstrap::version;

/// For each command, what one might type; `{}` is the program.
const EXAMPLES: [(&str, &str); 43] = [
    (
        "run",
        "  {}                                     environment dev, partition script1
  SCRIPT_ENV=release {} run              as a service would
  {} --env release --partition script2   another share of the work, with files of its own",
    ),
    (
        "check",
        "  {} check                    are the files right, what is live, what fires when
  {} --env release check      the same, as it would be there
  {} check --online           and are the servers, topics and tables there
  {} check --json | jq '.crontab[].next[0].utc'",
    ),
    (
        "exec",
        "  {} exec report                       as it would run, in this terminal
  {} exec report '{\"day\":\"2026-01-31\"}'   with params",
    ),
    (
        "push",
        "  {} push remind --params 7 --delay-time 60            in a minute
  {} push remind --params 7 --exec-time 1798761600     at that second
  {} push remind --params 7 --delay-time 60 --idempotency-key order-7   once, however often it is typed",
    ),
    (
        "send",
        "  {} send greetings Ann Bob
  {} send greetings --file names.txt                   a message a line
  tail -f names.txt | {} send greetings -              as they come
  {} send greetings Ann --key 7 --header from=shop
  {} send greetings Ann --idempotency-key order-7      once, however often it is typed
  {} send greetings -- -x                              a message that starts with a hyphen",
    ),
    (
        "migrate",
        "  {} migrate                  before the first start, by hand",
    ),
    (
        "status",
        "  {} status                   what is wrong first, then queues, cron and the delay queue
  {} status --watch           again each 2 seconds
  {} status --json | jq '.[].wrong'",
    ),
    (
        "reload",
        "  {} check && {} reload       what came, went, changed, or needs a restart
  {} --partition script2 reload",
    ),
    (
        "queue",
        "  {} queue list               which entries there are, and which are paused
  {} queue pause greetings    until it is resumed, on every daemon",
    ),
    (
        "queue list",
        "  {} queue list
  {} queue list --json | jq 'select(.paused).name'",
    ),
    (
        "queue pause",
        "  {} queue pause greetings
  {} --env release queue pause greetings orders_in",
    ),
    (
        "queue resume",
        "  {} queue resume greetings   and its lag is checked at once",
    ),
    (
        "queue check",
        "  {} queue check greetings    and not only when lag_check_interval is over",
    ),
    (
        "cron",
        "  {} cron list                which entries there are, and which are paused
  {} cron pause report        its fires are not made until it is resumed
  {} cron run report          now
  {} cron runs report         how its runs went",
    ),
    (
        "cron list",
        "  {} cron list
  {} cron list --json | jq 'select(.paused).name'",
    ),
    (
        "cron pause",
        "  {} cron pause report        what runs goes on",
    ),
    (
        "cron resume",
        "  {} cron resume report       fires that were not made meanwhile are not made up for",
    ),
    (
        "cron run",
        "  {} cron run report                         now, on whichever daemon sees it first
  {} cron run report '{\"day\":\"2026-01-31\"}'   with other params",
    ),
    (
        "cron runs",
        "  {} cron runs                the newest 20 of all entries
  {} cron runs report --limit 100
  {} cron runs --json | jq 'select(.status == \"failed\")'",
    ),
    (
        "cron end",
        "  {} cron end 3f0e4c0e-2e4d-5a43-9c58-41d17a390d11   with everything it started",
    ),
    (
        "cron logs",
        "  {} cron logs report         the newest run
  {} cron logs report -f      until it ends
  {} cron logs 3f0e4c0e-2e4d-5a43-9c58-41d17a390d11 -n 1000",
    ),
    (
        "delay",
        "  {} delay list               running tasks, then waiting ones, the next first
  {} delay cancel 17          it never runs
  {} delay run 17             now
  {} delay pause              tasks can be pushed, and wait
  {} delay resume             what is overdue runs at once",
    ),
    (
        "delay list",
        "  {} delay list --limit 10
  {} delay list --status failed --command remind
  {} delay list --status waiting --json | jq .params",
    ),
    (
        "delay show",
        "  {} delay show 17
  {} delay show 17 --json | jq -r .result",
    ),
    (
        "delay cancel",
        "  {} delay cancel 17 18       as long as they wait; status 4, and no dead letter",
    ),
    (
        "delay run",
        "  {} delay run 17             now
  {} delay run 17 18 --in 2h
  {} delay run 17 --at '2036-01-31 08:30'",
    ),
    (
        "delay pause",
        "  {} delay pause",
    ),
    (
        "delay resume",
        "  {} delay resume",
    ),
    (
        "pause",
        "  {} pause                    nothing new starts, on any daemon of the environment
  {} --env release pause && {} --env release status --watch",
    ),
    (
        "resume",
        "  {} resume                   what was paused by its name stays paused",
    ),
    (
        "dead",
        "  {} dead list                the newest first
  {} dead group               by their errors
  {} dead replay 17 18        those two run again
  {} dead purge --older-than 30d --yes",
    ),
    (
        "alert",
        "  {} alert test               one message to each receiver",
    ),
    (
        "alert test",
        "  {} --env release alert test
  {} alert test && echo all of them took it",
    ),
    (
        "init",
        "  {} init orders              a project that builds, with a handler of each kind
  cd orders && cargo test && cargo run",
    ),
    (
        "import",
        "  {} import etc/test.yaml --env test      makes etc/test.json
  {} import conf.yaml --force             and replaces etc/dev.json",
    ),
    (
        "generate-model",
        "  {} generate-model                       by etc/generateModel.json or generateModel.json
  {} generate-model shop.json --force     and replaces files that somebody changed",
    ),
    (
        "schema",
        "  {} schema queue > etc/schema/queue.json        and the same for crontab and settings
  {} schema settings --lang zh",
    ),
    (
        "completions",
        "  {} completions bash > ~/.local/share/bash-completion/completions/{}
  {} completions zsh > ~/.zfunc/_{}
  {} completions fish > ~/.config/fish/completions/{}.fish",
    ),
    (
        "dead group",
        "  {} dead group                             which errors there are, and how many dead letters of each
  {} dead group --queue greetings --since 2h
  {} dead group --json | jq -r .group",
    ),
    (
        "dead list",
        "  {} dead list --limit 10
  {} dead list --group 3f2b1c00aa
  {} dead list --queue greetings --since 2h --error timeout
  {} dead list --kind delay --json | jq .error",
    ),
    (
        "dead replay",
        "  {} dead replay 17 18                      those two
  {} dead replay --queue greetings          all of one queue, after a question with their number
  {} dead replay --group 3f2b1c00aa --rate 100/s --yes
  {} dead replay --exec-cmd remind --error 'connection refused' --limit 100 --yes
  {} dead replay 17 --payload mended.json   with another payload
  {} dead replay --yes                      all there are",
    ),
    (
        "dead purge",
        "  {} dead purge 17 18
  {} dead purge --older-than 30d --yes
  {} dead purge --group 3f2b1c00aa
  {} dead purge --queue greetings --until '2026-01-31 08:30'
  {} dead purge --yes                       all there are",
    ),
    (
        "",
        "  {}                                                start the daemon
  {} check                                          see whether etc/ is right, and what fires when
  {} send greetings Ann                             a message for the queue of that name
  {} push remind --params 7 --delay-time 5          a task in five seconds
  {} exec report                                    one cron handler, here and now
  {} init orders                                    a new project of one's own
  {} COMMAND --help                                 examples of a command

Exit status: 0 done, 1 failed, 2 bad configuration or usage.",
    ),
];

/// The command line under the program's name, with its examples and version.
pub(crate) fn named(command: Command, program: &str) -> Command {
    let command = command
        .name(program.to_owned())
        .bin_name(program.to_owned())
        .version(version::line(program));
    with_examples(command, "", program)
}

fn with_examples(command: Command, path: &str, program: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let command = match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, text)) => {
            command.after_help(format!("Examples:\n{}", text.replace("{}", program)))
        }
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        let below = format!("{path} {name}").trim_start().to_owned();
        command.mut_subcommand(name, |command| with_examples(command, &below, program))
    })
}
