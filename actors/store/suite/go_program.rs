//! Rows of the Go program, and what it and people write beside us.

use super::*;

facts! {
    async fn a_row_of_the_go_program_runs_and_keeps_its_columns(world) {
        let mut writer = world.writer().await;
        let now_s = now_ms() / 1000;
        (world.execute)(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES ('theirs', 'go', 'p', 1, {now_s})"
        ));
        let claimed = writer.claim(ME, 9).await.remove(0);
        assert_eq!((claimed.due_ms, claimed.attempts, claimed.fence), (now_s * 1000, 0, 1));
        assert_eq!((claimed.exec_cmd.as_str(), claimed.params.as_str()), ("go", "p"));
        assert!(writer.end(ME, &claimed, done()).await.is_empty());
        let row = world.line(
            "SELECT name || exec_cmd || params || status || result || exec_time AS line
             FROM delay_queue_log WHERE create_time IS NULL",
        );
        assert_eq!(row, format!("theirsgop3ok{now_s}"));
    }

    async fn old_finished_tasks_are_deleted_and_nothing_else_is(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO delay_queue_log (name, exec_cmd, status, exec_time) VALUES
            ('waits', 'c', 1, 100), ('runs', 'c', 2, 100), ('done', 'c', 3, 100), ('failed', 'c', 4, 100),
            ('young', 'c', 3, 200)");
        let deleted = writer.write(TrimTasks { before_s: 200 }).await;
        assert_eq!(deleted, 2);
        let left = world.lines("SELECT name AS line FROM delay_queue_log ORDER BY name");
        assert_eq!(left, ["runs", "waits", "young"]);
    }

    async fn a_changed_exec_time_moves_the_task(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(vec![task("x", now_ms() + 3_600_000)]).await;
        let sooner = now_ms() / 1000 - 5;
        (world.execute)(&format!("UPDATE delay_queue_log SET exec_time = {sooner} WHERE id = {}", ids[0]));
        assert_eq!(writer.claim(ME, 9).await[0].due_ms, sooner * 1000);
    }

    async fn running_rows_of_others_are_left_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO delay_queue_log (name, exec_cmd, status, exec_time) VALUES ('theirs', 'go', 2, 1)");
        assert!(writer.claim(ME, 9).await.is_empty());
        writer.begin(OTHER).await;
        writer.reap_gone(OTHER, Vec::new()).await;
        writer.reap_gone("", Vec::new()).await;
        let release = ReleaseTasks { owner: ME.to_owned(), keep: Vec::new() };
        writer.write(release).await;
        assert_eq!(world.line("SELECT status AS line FROM delay_queue_log"), "2");
        assert_eq!(world.store.reader().foreign_running().await.unwrap(), 1);
    }
}
