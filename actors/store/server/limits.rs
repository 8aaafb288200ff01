//! What the columns hold that the ends of jobs are written into, as they are in this database: people make them narrower.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{self, Connection};
use super::messages::room;
use crate::store::parts::Manner;
use crate::store::truncate::{ERROR_CHARS, NAME_CHARS, Plain, RESULT_CHARS, audited, note, result};

/// Characters, and bytes of a message; and how what is being written is made.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Limits {
    task_result: usize,
    run_name: usize,
    run_exec_cmd: usize,
    run_params: usize,
    run_result: usize,
    error: usize,
    /// Bytes of one message to the server at most.
    pub(in crate::store) message: usize,
    pub(in crate::store) plain: Plain,
    pub(in crate::store) manner: Manner,
    /// They are those of the schema, and not only of what we would make of it.
    pub(in crate::store) are_read: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            task_result: RESULT_CHARS,
            run_name: NAME_CHARS,
            run_exec_cmd: RESULT_CHARS,
            run_params: RESULT_CHARS,
            run_result: RESULT_CHARS,
            error: ERROR_CHARS,
            message: usize::MAX,
            plain: Plain::AsItIs,
            manner: Manner::Whole,
            are_read: false,
        }
    }
}

#[derive(QueryableByName)]
struct Width {
    #[diesel(sql_type = Text)]
    place: String,
    #[diesel(sql_type = BigInt)]
    chars: i64,
}

impl Limits {
    /// By the schema.
    pub(in crate::store) async fn read(connection: &mut Connection) -> QueryResult<Self> {
        let mut limits = Self {
            message: dialect::largest_message(connection).await?,
            are_read: true,
            ..Self::default()
        };
        let widths: Vec<Width> = diesel::sql_query(dialect::WIDTHS).load(connection).await?;
        for Width { place, chars } in widths {
            let limit = match place.as_str() {
                "delay_queue_log.result" => &mut limits.task_result,
                "crontab_log.name" => &mut limits.run_name,
                "crontab_log.exec_cmd" => &mut limits.run_exec_cmd,
                "crontab_log.params" => &mut limits.run_params,
                "crontab_log.result" => &mut limits.run_result,
                "dead_letter.error" => &mut limits.error,
                _ => continue,
            };
            // A column without a bound of its own keeps ours.
            *limit = usize::try_from(chars).unwrap_or(usize::MAX).min(*limit);
        }
        Ok(limits)
    }

    pub(in crate::store) fn task_result(&self, text: &str) -> String {
        result(text, self.task_result, self.plain)
    }

    pub(in crate::store) fn run_result(&self, text: &str) -> String {
        result(text, self.run_result, self.plain)
    }

    pub(in crate::store) fn run_name(&self, text: &str) -> String {
        note(text, self.run_name, self.plain_name())
    }

    pub(in crate::store) fn run_exec_cmd(&self, text: &str) -> String {
        note(text, self.run_exec_cmd, self.plain_name())
    }

    pub(in crate::store) fn run_params(&self, text: &str) -> String {
        note(text, self.run_params, self.plain)
    }

    /// What something is called is never left out.
    fn plain_name(&self) -> Plain {
        self.plain.min(Plain::Ascii)
    }

    pub(in crate::store) fn error(&self, text: &str) -> String {
        note(text, self.error, self.plain)
    }

    pub(in crate::store) fn audited(&self, text: &str) -> String {
        audited(text, self.plain)
    }

    /// How much of a dead letter's payload is kept; less where that was refused.
    pub(in crate::store) fn kept(&self, bytes: usize) -> usize {
        let room = room(self);
        match self.plain {
            Plain::Empty => bytes.min(room / 4),
            _ => bytes.min(room),
        }
    }

    /// The same, but that texts have words, in ASCII at least.
    pub(in crate::store) fn with_words(self) -> Self {
        let plain = self.plain.min(Plain::Ascii);
        Self { plain, ..self }
    }

    /// What entries are called, in tables of our own.
    pub(in crate::store) fn name(&self, text: &str) -> String {
        note(text, NAME_CHARS, self.plain_name())
    }

    /// As `name`.
    pub(in crate::store) fn exec_cmd(&self, text: &str) -> String {
        note(text, RESULT_CHARS, self.plain_name())
    }
}
