//! The migrations of all databases: the same names in each, embedded as texts.

/// One step that brings the tables up to date.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Migration {
    /// The folder below `migrations/{database}`.
    pub(in crate::store) name: &'static str,
    pub(in crate::store) sql: &'static str,
}

impl Migration {
    /// As diesel's own tool writes it down: the digits of the folder's date and number.
    pub(in crate::store) fn version(&self) -> String {
        let before_name = self.name.split('_').next().unwrap_or(self.name);
        before_name.chars().filter(char::is_ascii_digit).collect()
    }

    /// The statements, one by one. In our files each ends with a `;` at the end of its line, and no comment stands
    /// inside of one.
    pub(in crate::store) fn statements(&self) -> Vec<String> {
        let lines = self.sql.lines().filter(|line| !line.starts_with("--"));
        let text: Vec<&str> = lines.collect();
        text.join("\n")
            .split(";\n")
            .map(|statement| statement.trim().trim_end_matches(';').to_owned())
            .filter(|statement| !statement.is_empty())
            .collect()
    }
}

/// One list of names, so that no database can be forgotten.
macro_rules! migrations {
    ($($name:literal)*) => {
        pub(in crate::store) const SQLITE: &[Migration] = &[$(migrations!(one "sqlite" $name)),*];
        pub(in crate::store) const MYSQL: &[Migration] = &[$(migrations!(one "mysql" $name)),*];
        pub(in crate::store) const POSTGRES: &[Migration] = &[$(migrations!(one "postgres" $name)),*];
    };
    (one $database:literal $name:literal) => {
        Migration {
            name: $name,
            sql: include_str!(concat!("../../migrations/", $database, "/", $name, "/up.sql")),
        }
    };
}

migrations! {
    "2026-11-22-000001_go_tables"
    "2026-11-22-000002_delay_ownership"
    "2026-11-22-000003_boot"
    "2026-11-22-000004_queue_message"
    "2026-11-22-000005_dead_letter"
    "2026-11-22-000006_cron"
    "2026-11-26-000007_death"
    "2026-11-26-000008_commit_mark"
    "2026-11-26-000010_message_origin"
    "2026-11-29-000011_warning"
    "2026-11-29-000012_orders"
    "2026-11-29-000013_daemon_order"
    "2026-11-29-000014_idempotency"
    "2026-11-29-000015_trace"
    "2026-11-29-000016_rate_limit"
    "2026-11-29-000017_boot_version"
}

/// Where diesel's own tool notes what was done, as it makes it.
pub(in crate::store) const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

/// The statement that notes a migration as done, where it is not noted yet.
pub(in crate::store) fn note(version: &str) -> String {
    format!(
        "INSERT INTO __diesel_schema_migrations (version) SELECT v FROM (SELECT '{version}' AS v) AS one \
         WHERE NOT EXISTS (SELECT 1 FROM __diesel_schema_migrations WHERE version = '{version}')"
    )
}

/// All statements as one text, for daemons without the right to alter: a person with the right runs it.
pub(in crate::store) fn print(migrations: &[Migration]) -> String {
    let mut text = format!("{VERSIONS};\n");
    for migration in migrations {
        text += &format!("\n-- {}\n{}", migration.name, migration.sql);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text += &format!("{};\n", note(&migration.version()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_every_database_is_in_the_list() {
        for (database, listed) in [("sqlite", SQLITE), ("mysql", MYSQL), ("postgres", POSTGRES)] {
            let folder = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            let listed: Vec<&str> = listed.iter().map(|migration| migration.name).collect();
            assert_eq!(names, listed, "{database}");
        }
    }

    #[test]
    fn the_statements_of_a_migration_are_split() {
        for migration in MYSQL.iter().chain(POSTGRES) {
            let statements = migration.statements();
            assert!(!statements.is_empty(), "{}", migration.name);
            for statement in statements {
                assert!(!statement.contains(';'), "{}: {statement}", migration.name);
            }
        }
        assert_eq!(MYSQL[1].statements().len(), 12);
        assert_eq!(MYSQL[0].version(), "20261122000001");
    }
}
