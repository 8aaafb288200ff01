//! Statements that stand once for all databases, and the few words in which those differ.

/// The words of one database.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Words {
    /// The bound value of that number, from 1 on.
    pub(in crate::store) bound: fn(usize) -> String,
    /// An integer as one of 64 bits with a sign.
    pub(in crate::store) int8: fn(&str) -> String,
    /// A text, or nothing, as bytes: another program may have put anything there.
    pub(in crate::store) bytes: fn(&str) -> String,
    /// A column in which a text is searched for, whatever another program has made of it.
    pub(in crate::store) text: fn(&str) -> String,
    /// Whether the bytes of the second, a bound text, stand in the first, which is binary.
    pub(in crate::store) has_bytes: fn(&str, &str) -> String,
    /// Behind `delay_queue_log AS q`: the index by status and time.
    pub(in crate::store) tasks_by_time: &'static str,
    /// Whether a subquery in FROM may name columns of the query around it.
    pub(in crate::store) subquery_names_outer: bool,
}

/// A statement with the texts that are bound in it.
#[derive(Debug, Clone)]
pub(in crate::store) struct Sql {
    words: Words,
    pub(in crate::store) text: String,
    pub(in crate::store) bound: Vec<String>,
}

impl Sql {
    pub(super) fn new(words: Words, text: &str) -> Self {
        Self {
            words,
            text: text.to_owned(),
            bound: Vec::new(),
        }
    }

    /// Text of ours. What people typed is bound.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A bound value, as it stands in the statement.
    fn bind(&mut self, value: &str) -> String {
        // PostgreSQL takes no NUL; nothing else has one in a text.
        self.bound.push(value.replace('\0', ""));
        (self.words.bound)(self.bound.len())
    }

    /// The column is that text. Not as it stands: an index of the column would be read far beyond the rows of the step.
    pub(super) fn is(&mut self, column: &str, wanted: Option<&String>) -> &mut Self {
        if let Some(wanted) = wanted {
            let bound = self.bind(wanted);
            self.push(&format!(" AND COALESCE({column}, '') = {bound}"));
        }
        self
    }

    /// One of the columns has the text in it, in letters of any case.
    pub(super) fn has(&mut self, columns: &[&str], wanted: Option<&String>) -> &mut Self {
        if let Some(wanted) = wanted {
            let like = |sql: &mut Self, column: &&str| {
                let bound = sql.bind(&super::contains(wanted));
                let column = (sql.words.text)(column);
                format!("lower({column}) LIKE lower({bound}) ESCAPE '!'")
            };
            let any: Vec<String> = columns.iter().map(|column| like(self, column)).collect();
            self.push(&format!(" AND ({})", any.join(" OR ")));
        }
        self
    }

    /// The column is of that pattern of `LIKE … ESCAPE '!'`.
    pub(super) fn like(&mut self, column: &str, pattern: Option<&String>) -> &mut Self {
        if let Some(pattern) = pattern {
            let bound = self.bind(pattern);
            self.push(&format!(" AND {column} LIKE {bound} ESCAPE '!'"));
        }
        self
    }

    /// The binary column has these bytes in it.
    pub(super) fn has_bytes(&mut self, column: &str, wanted: Option<&String>) -> &mut Self {
        if let Some(wanted) = wanted {
            let bound = self.bind(wanted);
            let condition = (self.words.has_bytes)(column, &bound);
            self.push(&format!(" AND {condition}"));
        }
        self
    }
}
