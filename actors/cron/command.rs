//! The command line of a run, and where its output goes.

use std::path::PathBuf;

use super::process::{Announced, Command, Uk};
use super::{CronConfig, LiveEntry};

pub(super) fn command(
    config: &CronConfig,
    entry: &LiveEntry,
    uk: &Uk,
    announced: &Announced,
) -> Command {
    let environment = config.environment.iter();
    let args = arguments(uk.as_str(), &entry.config.exec_cmd, &entry.config.params);
    Command {
        program: config.program.clone(),
        args: args.into_iter().map(Into::into).collect(),
        env: environment
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        output: output(config, &entry.config.exec_cmd),
        handed: config.program_is_ours.then(|| announced.file()),
    }
}

/// One file a day for each `exec_cmd`.
fn output(config: &CronConfig, exec_cmd: &str) -> PathBuf {
    let safe = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = exec_cmd.chars().map(safe).collect();
    let day = chrono::Local::now().format("%Y%m%d");
    config.output.join(format!("{name}-{day}.out"))
}

fn arguments<'a>(uk: &'a str, exec_cmd: &'a str, params: &'a str) -> Vec<&'a str> {
    let mut args = vec!["exec", "--uk", uk];
    // Params such as `--help` or `--env=release` are the handler's, not the command line's; so is a name like `-x`.
    if exec_cmd.starts_with('-') || params.starts_with('-') {
        args.push("--");
    }
    args.push(exec_cmd);
    if !params.is_empty() {
        args.push(params);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_params_with_a_dash_are_no_options() {
        let cases = [
            (("c", "p"), "exec --uk u c p"),
            (("c", ""), "exec --uk u c"),
            (("c", "-p"), "exec --uk u -- c -p"),
            (("-c", "p"), "exec --uk u -- -c p"),
            (("-c", ""), "exec --uk u -- -c"),
        ];
        for ((exec_cmd, params), expected) in cases {
            assert_eq!(arguments("u", exec_cmd, params).join(" "), expected);
        }
    }
}
