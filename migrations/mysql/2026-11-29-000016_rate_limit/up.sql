-- Limits of the rates of tables and topics, which all daemons share. `free_us`: from when on the next permit is free, in unix
-- microseconds of the database. `name` is a hash of what is limited.
CREATE TABLE IF NOT EXISTS rate_limit (
    name    VARCHAR(64) NOT NULL PRIMARY KEY,
    shown   VARCHAR(255) NOT NULL,
    free_us BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
