//! The dead letters that a committed write has made, for people.
//!
//! Every dead letter of this process comes through here, as DbActor is its only writer: those of consumers and delayed
//! tasks, those of messages outside the database, those of replayed dead letters, those of messages whose handler ended
//! a process, and those of rows that cannot be read.

use super::write::{Settlement, Write, Written};
use crate::job::Disposition;
use crate::state::dead_letters;

/// To be called once for each committed write.
pub(crate) fn publish_dead_letters(write: &Write, written: &Written) {
    for (entry, error) in made(write, written) {
        dead_letters().written(&entry, &error);
    }
}

/// What is known of each: the entry, and the error.
fn made(write: &Write, written: &Written) -> Vec<(String, String)> {
    match (write, written) {
        (Write::InsertDeadLetters(insert), Written::InsertDeadLetters(())) => {
            let dead_letters = insert.dead_letters.iter();
            dead_letters
                .map(|dead_letter| (of_queue(&dead_letter.entry.name), dead_letter.error.clone()))
                .collect()
        }
        (Write::EndMessages(write), Written::EndMessages(settlement)) => {
            let dead = write.ends.iter().filter_map(|end| match &end.disposition {
                Disposition::DeadLetter { error, .. } if counts(settlement, end.id) => {
                    Some((of_queue(&end.entry.name), error.clone()))
                }
                _ => None,
            });
            dead.collect()
        }
        (Write::EndTasks(write), Written::EndTasks(settlement)) => {
            let dead = write.ends.iter().filter_map(|end| match &end.disposition {
                Disposition::DeadLetter { error, .. } if counts(settlement, end.id) => {
                    Some((of_task(&end.exec_cmd), error.clone()))
                }
                _ => None,
            });
            dead.collect()
        }
        (Write::ReapGone(_), Written::ReapGone(reaped)) => reaped.dead_letters.clone(),
        (Write::ClaimTasks(_), Written::ClaimTasks(claimed)) => claimed.dead_letters.clone(),
        _ => Vec::new(),
    }
}

/// Ends that are stale, or wait for another transaction's lock, have made nothing.
fn counts(settlement: &Settlement, id: i64) -> bool {
    !settlement.stale.contains(&id) && !settlement.held.contains(&id)
}

/// What people call a queue entry.
pub(in crate::store) fn of_queue(name: &str) -> String {
    format!("queue `{name}`")
}

/// What people call a kind of delayed task.
pub(in crate::store) fn of_task(exec_cmd: &str) -> String {
    format!("delayed task `{exec_cmd}`")
}

#[cfg(test)]
mod tests {
    use super::super::rows::{EntryName, MessageEnd, Reaped, TaskEnd};
    use super::super::write::{EndMessages, EndTasks, ReapGone};
    use super::*;

    fn dead(id: i64) -> MessageEnd {
        let entry = EntryName {
            name: "q".to_owned(),
            exec_cmd: "c".to_owned(),
        };
        MessageEnd {
            id,
            fence: 1,
            entry: entry.into(),
            disposition: Disposition::DeadLetter {
                error: format!("e{id}"),
                attempts: 1,
            },
        }
    }

    #[test]
    fn dead_letters_of_ends_that_count_are_made() {
        let ends = vec![dead(1), dead(2), dead(3)];
        let write = EndMessages {
            owner: String::new(),
            ends,
        }
        .into();
        let settlement = Settlement {
            stale: vec![1],
            held: vec![3],
        };
        let made_by = made(&write, &Written::EndMessages(settlement));
        assert_eq!(made_by, [("queue `q`".to_owned(), "e2".to_owned())]);
        let failed = Disposition::DeadLetter {
            error: "no".to_owned(),
            attempts: 5,
        };
        let end = |id, disposition| TaskEnd {
            id,
            fence: 1,
            exec_cmd: "mail".to_owned(),
            disposition,
            result: String::new(),
        };
        let write = EndTasks {
            owner: String::new(),
            ends: vec![end(1, failed), end(2, Disposition::Complete)],
        }
        .into();
        let made_by = made(&write, &Written::EndTasks(Settlement::default()));
        assert_eq!(
            made_by,
            [("delayed task `mail`".to_owned(), "no".to_owned())]
        );
    }

    #[test]
    fn dead_letters_that_are_made_inside_the_database_are_made() {
        let reaped = Reaped {
            dead_letters: vec![("queue `q`".to_owned(), "SIGABRT".to_owned())],
            ..Reaped::default()
        };
        let write = ReapGone {
            owner: String::new(),
            crashes: Vec::new(),
        }
        .into();
        assert_eq!(
            made(&write, &Written::ReapGone(reaped.clone())),
            reaped.dead_letters
        );
    }
}
