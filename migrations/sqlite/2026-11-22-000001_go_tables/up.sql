-- The two tables of the Go project, as it makes them. `IF NOT EXISTS`: where they stand already, they stay as they are.
CREATE TABLE IF NOT EXISTS crontab_log (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    pid         INTEGER NOT NULL DEFAULT 0,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    exec_cmd    VARCHAR(500) NOT NULL DEFAULT '',
    params      VARCHAR(500) NOT NULL DEFAULT '',
    result      VARCHAR(500) NOT NULL DEFAULT '',
    status      VARCHAR(20) NOT NULL DEFAULT '',
    start_time  BIGINT NOT NULL DEFAULT 0,
    end_time    BIGINT NOT NULL DEFAULT 0,
    cost_time   INTEGER NOT NULL DEFAULT 0,
    "partition" VARCHAR(20) NOT NULL DEFAULT '',
    uk          VARCHAR(100) NOT NULL DEFAULT '',
    create_time TIMESTAMP NULL,
    update_time TIMESTAMP NULL
);
CREATE INDEX IF NOT EXISTS idx_uk_time ON crontab_log (uk, create_time);

CREATE TABLE IF NOT EXISTS delay_queue_log (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    exec_cmd    VARCHAR(50) NOT NULL DEFAULT '',
    params      VARCHAR(500) NOT NULL DEFAULT '',
    status      TINYINT NOT NULL DEFAULT 1,
    result      VARCHAR(500) NOT NULL DEFAULT '',
    exec_time   BIGINT NOT NULL DEFAULT 0,
    create_time TIMESTAMP NULL,
    update_time TIMESTAMP NULL
);
CREATE INDEX IF NOT EXISTS idx_status_exectime ON delay_queue_log (status, exec_time);
