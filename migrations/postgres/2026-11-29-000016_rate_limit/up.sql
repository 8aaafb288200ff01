-- Limits of the rates of tables and topics, which all daemons share. `free_us`: from when on the next permit is free, in unix
-- microseconds of the database. `name` is a hash of what is limited.
CREATE TABLE IF NOT EXISTS rate_limit (
    name    VARCHAR(64) COLLATE "C" PRIMARY KEY,
    shown   VARCHAR(255) COLLATE "C" NOT NULL,
    free_us BIGINT NOT NULL
);
