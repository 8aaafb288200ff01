//! What is found at the start: tables of other programs, and rights that are missing.

use super::*;

#[test]
fn another_programs_table_of_our_name_is_reported_at_the_start_and_left_alone() {
    for (url, _) in servers() {
        let runtime = actix_rt::System::new();
        runtime.block_on(async {
            let mut connection = connect::open(&Secret::new(&url)).await.unwrap();
            let shoes = "CREATE TABLE queue_message (id INT PRIMARY KEY, body INT)";
            connection.batch_execute(shoes).await.unwrap();
        });
        let refused = store(&url).migrate().unwrap_err().to_string();
        assert!(refused.contains("`queue_message`"), "{refused}");
        runtime.block_on(async {
            let mut connection = connect::open(&Secret::new(&url)).await.unwrap();
            let away = "ALTER TABLE queue_message RENAME TO shoes";
            connection.batch_execute(away).await.unwrap();
        });
        store(&url).migrate().unwrap();
    }
}

/// `check --online` shows it before cron, or another user of that table, meets it.
#[test]
fn a_table_that_may_not_be_written_is_found_by_looking() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        store(&url).inspect().unwrap();
        actix_rt::System::new().block_on(async {
            let mut operator = connect::open(&Secret::new(&url)).await.unwrap();
            operator.batch_execute(MAKE_LIMITED).await.unwrap();
            for table in OURS.iter().chain(["__diesel_schema_migrations"].iter()) {
                let rights = match *table {
                    "cron_entry" => "SELECT",
                    _ => "SELECT, INSERT, UPDATE, DELETE",
                };
                let grant = format!("GRANT {rights} ON {table} TO {LIMITED}");
                operator.batch_execute(&grant).await.unwrap();
            }
        });
        let mut limited: url::Url = url.parse().unwrap();
        limited.set_username("limited").unwrap();
        let lacking = store(limited.as_str()).inspect().unwrap_err().to_string();
        assert!(lacking.contains("cron_entry"), "{lacking}");
        assert!(!lacking.contains("cron_run"), "{lacking}");
    }
}
