-- The last transaction of each connection that writes: tells, when the answer to a commit was lost, whether it happened.
CREATE TABLE IF NOT EXISTS commit_mark (
    writer    VARCHAR(36) COLLATE "C" NOT NULL,
    batch     BIGINT NOT NULL,
    marked_ms BIGINT NOT NULL,
    PRIMARY KEY (writer, batch)
);
CREATE INDEX IF NOT EXISTS idx_commit_mark_age ON commit_mark (marked_ms);
