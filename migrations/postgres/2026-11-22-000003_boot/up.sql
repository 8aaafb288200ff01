-- One row per start of a daemon. `state`: 1 alive, 2 ended by itself, 3 judged dead by another.
-- `deaths_counted`: the handlers that ended this process have been charged for it, once.
CREATE TABLE IF NOT EXISTS boot (
    owner          VARCHAR(64) COLLATE "C" NOT NULL PRIMARY KEY,
    partition_name VARCHAR(20) COLLATE "C" NOT NULL,
    host           VARCHAR(255) NOT NULL,
    pid            INTEGER NOT NULL,
    state          SMALLINT NOT NULL,
    started_ms     BIGINT NOT NULL,
    heartbeat_ms   BIGINT NOT NULL,
    interval_ms    BIGINT NOT NULL,
    deaths_counted SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_boot_state ON boot (state, heartbeat_ms);
