-- The last fire of each entry, by (expression, zone, exec_cmd, params, ordinal): `entry` is a name made from those.
-- `live_since_ms`: when it became live, and again after it was not.
CREATE TABLE cron_entry (
    partition_name VARCHAR(20) NOT NULL,
    entry          VARCHAR(36) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    expression     VARCHAR(255) NOT NULL,
    live           SMALLINT NOT NULL,
    live_since_ms  BIGINT NOT NULL DEFAULT 0,
    last_fire_ms   BIGINT NULL,
    PRIMARY KEY (partition_name, entry)
);
-- One row per entry and scheduled second: whoever inserts it, fires. `state`: 1 claimed, 2 started, 3 ended.
CREATE TABLE cron_run (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    partition_name VARCHAR(20) NOT NULL,
    entry          VARCHAR(36) NOT NULL,
    scheduled_ms   BIGINT NOT NULL,
    uk             VARCHAR(100) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    owner          VARCHAR(64) NOT NULL,
    machine        VARCHAR(400) NOT NULL,
    state          SMALLINT NOT NULL,
    status         VARCHAR(20) NOT NULL,
    pid            INTEGER NOT NULL DEFAULT 0,
    start_ticks    BIGINT NULL,
    timeout_ms     BIGINT NOT NULL DEFAULT 0,
    started_ms     BIGINT NOT NULL,
    ended_ms       BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX idx_cron_run_fire ON cron_run (partition_name, entry, scheduled_ms);
CREATE UNIQUE INDEX idx_cron_run_uk ON cron_run (uk);
CREATE INDEX idx_cron_run_open ON cron_run (partition_name, state, entry);
CREATE INDEX idx_cron_run_state ON cron_run (state, started_ms);
