//! Writes that the database refuses for what is in them. Nobody else waits for them.

mod claims;
mod ends;
mod entries;
mod writes;

use super::*;
use crate::store::traits::Applied;

impl World {
    /// From now on rows that meet the condition are refused, in words that an outage could have. `event` is `INSERT` or
    /// `UPDATE`.
    pub(super) fn refuse(&self, name: &str, event: &str, table: &str, condition: &str) {
        let (code, words) = match self.name {
            "SQLite" => ("", "database is locked: "),
            "PostgreSQL" => ("", "the database system is away: "),
            _ => ("", "Lost connection: "),
        };
        self.refuse_as(
            (code, &format!("{words}{WORDS}")),
            name,
            event,
            table,
            condition,
        );
    }

    fn refuse_as(
        &self,
        (code, words): (&str, &str),
        name: &str,
        event: &str,
        table: &str,
        condition: &str,
    ) {
        let statement = match self.name {
            "SQLite" => format!(
                "CREATE TRIGGER refuse_{name} BEFORE {event} ON {table} WHEN {condition}
                 BEGIN SELECT RAISE(ABORT, '{words}'); END"
            ),
            "PostgreSQL" => format!(
                "CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF {condition} THEN RAISE EXCEPTION '{words}'{code}; END IF;
                 RETURN NEW; END $$;
                 CREATE TRIGGER refuse_{name} BEFORE {event} ON {table}
                 FOR EACH ROW EXECUTE FUNCTION refuse_{name}()"
            ),
            _ => format!(
                "CREATE TRIGGER refuse_{name} BEFORE {event} ON {table} FOR EACH ROW
                 BEGIN IF {condition} THEN
                     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{words}'{code};
                 END IF; END"
            ),
        };
        (self.execute)(&statement);
    }
}

const WORDS: &str = "the queue is full, Too many connections";
/// SQLite's own words.
const FULL: &str = "database or disk is full";

/// The places of those that were refused, each with the server's own words; all others are committed.
fn refused(applied: Applied) -> Vec<usize> {
    assert!(applied.away.is_none(), "{:?}", applied.away);
    let answers = applied.answers().into_iter().enumerate();
    let refused = answers.filter_map(|(at, answer)| match answer {
        Ok(_) => None,
        Err(crate::store::DbError::Refused(why)) => {
            assert!(why.contains(WORDS) || why.contains(FULL), "{why}");
            Some(at)
        }
        Err(other) => panic!("{other:?}"),
    });
    refused.collect()
}
