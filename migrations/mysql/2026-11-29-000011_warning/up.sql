-- What `Warning` counts. A row for each environment, flag, period and limit; `id` is a hash of them, so that names are told
-- apart by their bytes on every database. `started_ms`, `counted` and `said` are of the window that began last, `messages`
-- its last ones; `earlier` are the windows before it, as [started_ms, counted, said].
CREATE TABLE IF NOT EXISTS warning_window (
    id          VARCHAR(64) NOT NULL PRIMARY KEY,
    environment VARCHAR(10) NOT NULL,
    flag        VARCHAR(255) NOT NULL,
    seconds     BIGINT NOT NULL,
    limit_count BIGINT NOT NULL,
    started_ms  BIGINT NOT NULL,
    ends_ms     BIGINT NOT NULL,
    counted     BIGINT NOT NULL,
    said        SMALLINT NOT NULL,
    earlier     LONGTEXT NOT NULL,
    messages    LONGTEXT NOT NULL,
    KEY idx_warning_window_ends (ends_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- Counts that reached their limit, until the receivers have them. A row waits while `owner` is empty.
CREATE TABLE IF NOT EXISTS warning_notice (
    id             BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    environment    VARCHAR(10) NOT NULL,
    flag           VARCHAR(255) NOT NULL,
    seconds        BIGINT NOT NULL,
    limit_count    BIGINT NOT NULL,
    started_ms     BIGINT NOT NULL,
    counted        BIGINT NOT NULL,
    messages       LONGTEXT NOT NULL,
    host           VARCHAR(255) NOT NULL,
    partition_name VARCHAR(20) NOT NULL,
    owner          VARCHAR(64) NOT NULL DEFAULT '',
    created_ms     BIGINT NOT NULL,
    KEY idx_warning_notice_owner (owner, environment, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- The daemons that have a receiver for such a message: while one of an environment lives the others leave it to that.
CREATE TABLE IF NOT EXISTS warning_sender (
    owner       VARCHAR(64) NOT NULL PRIMARY KEY,
    environment VARCHAR(10) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
