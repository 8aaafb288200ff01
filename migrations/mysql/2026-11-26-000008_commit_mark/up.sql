-- The last transaction of each connection that writes: tells, when the answer to a commit was lost, whether it happened.
CREATE TABLE IF NOT EXISTS commit_mark (
    writer    VARCHAR(36) NOT NULL,
    batch     BIGINT NOT NULL,
    marked_ms BIGINT NOT NULL,
    PRIMARY KEY (writer, batch),
    KEY idx_commit_mark_age (marked_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
