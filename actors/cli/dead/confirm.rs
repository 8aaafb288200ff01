//! Asks the person whether as many dead letters are meant as there are.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::bootstrap::failure::{Failure, chain};
use crate::cli::print::print_error;
use crate::orders::dead::Meant;
use crate::store::Reader;

/// Whether the order was confirmed on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    NotYet,
}

impl Confirmed {
    pub(super) fn by(yes: bool) -> Self {
        match yes {
            true => Self::Yes,
            false => Self::NotYet,
        }
    }
}

/// With the group of that name, if one is named.
pub(super) async fn with_group(
    meant: Meant,
    reader: &dyn Reader,
    name: Option<String>,
) -> Result<Meant, Failure> {
    let found = meant.with_group(reader, name).await;
    let found = found.map_err(|cause| Failure::failed(chain(&cause)))?;
    found.map_err(Failure::misused)
}

/// Dead letters that are named need no question. All others are counted first; on a terminal the person decides whether
/// that many are meant. A script cannot be asked: it goes on with the dead letters of a filter, and needs `--yes` for
/// all there are.
///
/// `before` and `behind` surround the dead letters in the question: `run` 7 dead letters ` again`. Returns whether to carry
/// out the order; an error where the person declines.
pub(super) async fn confirm(
    meant: &Meant,
    reader: &dyn Reader,
    confirmed: Confirmed,
    (before, behind): (&str, &str),
) -> Result<bool, Failure> {
    if !meant.ids.is_empty() || confirmed == Confirmed::Yes {
        return Ok(true);
    }
    let counted = meant
        .count(reader)
        .await
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    if counted.dead_letters == 0 && counted.is_all {
        return Ok(false);
    }
    let what = format!("{before} {}{behind}", meant.describe(Some(counted)));
    if !io::stdin().is_terminal() {
        if meant.is_narrowed() {
            print_error(&format!("this will {what}\n"));
            return Ok(true);
        }
        return Err(Failure::misused(format!(
            "this would {what}; say `--yes` if that is meant"
        )));
    }
    let question = format!("{what}? [y/N] ");
    match asked(&question, &mut io::stdin().lock(), &mut io::stderr()) {
        Ok(true) => Ok(true),
        Ok(false) => Err(Failure::failed("nothing was done")),
        Err(cause) => Err(Failure::failed(format!(
            "no answer, nothing was done: {cause}"
        ))),
    }
}

fn asked(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    write!(to, "{question}")?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, meant) in [
            ("y\n", true),
            (" YES \n", true),
            ("yes", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut shown = Vec::new();
            let yes = asked("all? ", &mut answer.as_bytes(), &mut shown).unwrap();
            assert_eq!(yes, meant, "{answer:?}");
            assert_eq!(shown, b"all? ");
        }
    }
}
