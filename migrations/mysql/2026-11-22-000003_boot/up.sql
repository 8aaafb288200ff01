-- One row per start of a daemon. `state`: 1 alive, 2 ended by itself, 3 judged dead by another.
-- `deaths_counted`: the handlers that ended this process have been charged for it, once.
CREATE TABLE IF NOT EXISTS boot (
    owner          VARCHAR(64) NOT NULL PRIMARY KEY,
    partition_name VARCHAR(20) NOT NULL,
    host           VARCHAR(255) NOT NULL,
    pid            INT NOT NULL,
    state          SMALLINT NOT NULL,
    started_ms     BIGINT NOT NULL,
    heartbeat_ms   BIGINT NOT NULL,
    interval_ms    BIGINT NOT NULL,
    deaths_counted SMALLINT NOT NULL DEFAULT 0,
    KEY idx_boot_state (state, heartbeat_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
