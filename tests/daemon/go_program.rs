//! The Go program, as far as a database sees it: its tables, and the statements that it makes.

use std::fs;

use crate::database::{Database, Row};
use crate::engine::Engine;
use crate::world::World;

/// The columns of its delay queue, in its order.
pub const TASK_COLUMNS: &str =
    "id, name, exec_cmd, params, status, result, exec_time, create_time, update_time";

/// Its two tables as it makes them on MySQL.
const ON_MYSQL: &str = "
    CREATE TABLE `crontab_log` (
        `id` bigint unsigned NOT NULL AUTO_INCREMENT,
        `pid` int NOT NULL DEFAULT '0' COMMENT '进程id',
        `name` varchar(255) NOT NULL DEFAULT '' COMMENT '名称',
        `exec_cmd` varchar(500) NOT NULL DEFAULT '',
        `params` varchar(500) NOT NULL DEFAULT '',
        `result` varchar(500) NOT NULL DEFAULT '',
        `status` varchar(20) NOT NULL DEFAULT '',
        `start_time` bigint NOT NULL DEFAULT '0',
        `end_time` bigint NOT NULL DEFAULT '0',
        `cost_time` int NOT NULL DEFAULT '0',
        `partition` varchar(20) NOT NULL DEFAULT '',
        `uk` varchar(100) NOT NULL DEFAULT '',
        `create_time` timestamp NULL DEFAULT NULL,
        `update_time` timestamp NULL DEFAULT NULL,
        PRIMARY KEY (`id`) USING BTREE,
        KEY `idx_uk_time` (`uk`,`create_time`)
    ) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COMMENT='定时任务日志';
    CREATE TABLE `delay_queue_log` (
        `id` bigint unsigned NOT NULL AUTO_INCREMENT,
        `name` varchar(255) NOT NULL DEFAULT '' COMMENT '名称',
        `exec_cmd` varchar(50) NOT NULL DEFAULT '',
        `params` varchar(500) NOT NULL DEFAULT '',
        `status` tinyint unsigned NOT NULL DEFAULT '1' COMMENT '1:待执行 2:执行中 3:成功 4:失败',
        `result` varchar(500) NOT NULL DEFAULT '',
        `exec_time` int unsigned NOT NULL DEFAULT '0',
        `create_time` timestamp NULL DEFAULT NULL,
        `update_time` timestamp NULL DEFAULT NULL,
        PRIMARY KEY (`id`) USING BTREE,
        KEY `idx_status_exectime` (`status`,`exec_time`)
    ) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COMMENT='延时队列';";

/// What somebody would make of them elsewhere, where the Go program itself does not run.
const ELSEWHERE: &str = "
    CREATE TABLE crontab_log (
        id {ID}, pid int NOT NULL DEFAULT 0, name varchar(255) NOT NULL DEFAULT '',
        exec_cmd varchar(500) NOT NULL DEFAULT '', params varchar(500) NOT NULL DEFAULT '',
        result varchar(500) NOT NULL DEFAULT '', status varchar(20) NOT NULL DEFAULT '',
        start_time bigint NOT NULL DEFAULT 0, end_time bigint NOT NULL DEFAULT 0, cost_time int NOT NULL DEFAULT 0,
        \"partition\" varchar(20) NOT NULL DEFAULT '', uk varchar(100) NOT NULL DEFAULT '',
        create_time timestamp NULL, update_time timestamp NULL);
    CREATE INDEX idx_uk_time ON crontab_log (uk, create_time);
    CREATE TABLE delay_queue_log (
        id {ID}, name varchar(255) NOT NULL DEFAULT '', exec_cmd varchar(50) NOT NULL DEFAULT '',
        params varchar(500) NOT NULL DEFAULT '', status smallint NOT NULL DEFAULT 1,
        result varchar(500) NOT NULL DEFAULT '', exec_time bigint NOT NULL DEFAULT 0,
        create_time timestamp NULL, update_time timestamp NULL);
    CREATE INDEX idx_status_exectime ON delay_queue_log (status, exec_time);";

/// Makes its tables in a world that has no database yet.
pub fn make_tables(world: &World) -> Database {
    if world.engine == Engine::Sqlite {
        fs::create_dir(world.path("data")).unwrap();
        fs::write(world.path("data/simplest_script.db"), "").unwrap();
    }
    let mut database = world.database();
    match world.engine {
        Engine::MariaDb | Engine::MySql => database.execute(ON_MYSQL),
        Engine::Sqlite => database
            .execute(&ELSEWHERE.replace("{ID}", "integer PRIMARY KEY AUTOINCREMENT NOT NULL")),
        Engine::Postgres => {
            database.execute(&ELSEWHERE.replace("{ID}", "bigserial PRIMARY KEY"));
        }
    }
    database
}

/// Its push, without the times that some of its versions leave out.
pub fn insert(name: &str, exec_cmd: &str, params: &str, exec_time: i64) -> String {
    format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, result, exec_time, create_time, update_time)
         VALUES ('{name}', '{exec_cmd}', '{params}', 1, '', {exec_time}, CURRENT_TIMESTAMP, NULL)"
    )
}

/// What its minute tick finds.
pub fn due_before(database: &mut Database, exec_time: i64) -> Vec<Row> {
    database.rows(&format!(
        "SELECT {TASK_COLUMNS} FROM delay_queue_log WHERE status = 1 and exec_time < {exec_time}"
    ))
}

/// It begins a row.
pub fn begin(database: &mut Database, id: i64) {
    database.execute(&format!(
        "UPDATE delay_queue_log SET status = 2, update_time = CURRENT_TIMESTAMP WHERE id = {id}"
    ));
}

/// It ends a row, with 3 or 4.
pub fn end(database: &mut Database, id: i64, status: u8, result: &str) {
    database.execute(&format!(
        "UPDATE delay_queue_log SET status = {status}, result = '{result}', update_time = CURRENT_TIMESTAMP WHERE id = {id}"
    ));
}

/// One of its rows.
pub fn row(database: &mut Database, id: i64) -> Row {
    let mut rows = database.rows(&format!(
        "SELECT {TASK_COLUMNS} FROM delay_queue_log WHERE id = {id}"
    ));
    assert_eq!(rows.len(), 1, "row {id}");
    rows.remove(0)
}
