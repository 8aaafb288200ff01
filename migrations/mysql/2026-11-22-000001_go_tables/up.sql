-- The two tables of the Go project, as it makes them. `IF NOT EXISTS`: where they stand already, they stay as they are.
CREATE TABLE IF NOT EXISTS crontab_log (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    pid         INT NOT NULL DEFAULT 0,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    exec_cmd    VARCHAR(500) NOT NULL DEFAULT '',
    params      VARCHAR(500) NOT NULL DEFAULT '',
    result      VARCHAR(500) NOT NULL DEFAULT '',
    status      VARCHAR(20) NOT NULL DEFAULT '',
    start_time  BIGINT NOT NULL DEFAULT 0,
    end_time    BIGINT NOT NULL DEFAULT 0,
    cost_time   INT NOT NULL DEFAULT 0,
    `partition` VARCHAR(20) NOT NULL DEFAULT '',
    uk          VARCHAR(100) NOT NULL DEFAULT '',
    create_time TIMESTAMP NULL DEFAULT NULL,
    update_time TIMESTAMP NULL DEFAULT NULL,
    KEY idx_uk_time (uk, create_time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS delay_queue_log (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    exec_cmd    VARCHAR(50) NOT NULL DEFAULT '',
    params      VARCHAR(500) NOT NULL DEFAULT '',
    status      TINYINT UNSIGNED NOT NULL DEFAULT 1,
    result      VARCHAR(500) NOT NULL DEFAULT '',
    exec_time   INT UNSIGNED NOT NULL DEFAULT 0,
    create_time TIMESTAMP NULL DEFAULT NULL,
    update_time TIMESTAMP NULL DEFAULT NULL,
    KEY idx_status_exectime (status, exec_time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
