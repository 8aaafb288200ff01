//! The command line of a run.

use super::process::{Announced, Command, Output, Uk};
use super::{CronConfig, LiveEntry};
use crate::trace::{PARENT_VARIABLE, STATE_VARIABLE, Trace};

pub(super) fn command(
    config: &CronConfig,
    entry: &LiveEntry,
    uk: &Uk,
    announced: &Announced,
) -> Command {
    let environment = config.environment.iter();
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    // A fire begins a trace; that of the daemon's own environment, if there is one, is not the run's.
    let trace = Trace::of_run(uk.as_str());
    let parent = (PARENT_VARIABLE.into(), trace.traceparent().into());
    let has_state = std::env::var_os(STATE_VARIABLE).is_some();
    let no_state = has_state.then(|| (STATE_VARIABLE.into(), "".into()));
    let args = arguments(uk.as_str(), &entry.config.exec_cmd, &entry.config.params);
    Command {
        program: config.program.clone(),
        args: args.into_iter().map(Into::into).collect(),
        env: environment.chain([parent]).chain(no_state).collect(),
        output: Output::Log(config.output.of(&entry.output)),
        handed: config.program_is_ours.then(|| announced.file()),
    }
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
