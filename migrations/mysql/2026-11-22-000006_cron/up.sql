-- The last fire of each entry, by (expression, zone, exec_cmd, params, ordinal): `entry` is a name made from those.
-- `live_since_ms`: when it became live, and again after it was not.
CREATE TABLE IF NOT EXISTS cron_entry (
    partition_name VARCHAR(20) NOT NULL,
    entry          VARCHAR(36) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    expression     VARCHAR(255) NOT NULL,
    live           SMALLINT NOT NULL,
    live_since_ms  BIGINT NOT NULL DEFAULT 0,
    last_fire_ms   BIGINT NULL,
    PRIMARY KEY (partition_name, entry)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- One row per entry and scheduled second: whoever inserts it, fires. `state`: 1 claimed, 2 started, 3 ended.
CREATE TABLE IF NOT EXISTS cron_run (
    id             BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    partition_name VARCHAR(20) NOT NULL,
    entry          VARCHAR(36) NOT NULL,
    scheduled_ms   BIGINT NOT NULL,
    uk             VARCHAR(100) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    owner          VARCHAR(64) NOT NULL,
    machine        VARCHAR(400) NOT NULL,
    state          SMALLINT NOT NULL,
    status         VARCHAR(20) NOT NULL,
    pid            INT NOT NULL DEFAULT 0,
    start_ticks    BIGINT NULL,
    timeout_ms     BIGINT NOT NULL DEFAULT 0,
    started_ms     BIGINT NOT NULL,
    ended_ms       BIGINT NOT NULL DEFAULT 0,
    UNIQUE KEY idx_cron_run_fire (partition_name, entry, scheduled_ms),
    UNIQUE KEY idx_cron_run_uk (uk),
    KEY idx_cron_run_open (partition_name, state, entry),
    KEY idx_cron_run_state (state, started_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
