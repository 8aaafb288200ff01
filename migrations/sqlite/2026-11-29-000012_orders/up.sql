-- What people paused: a queue entry or a cron entry by its name, the delay queue, or everything (`kind`: 'queue', 'cron',
-- 'delay', 'all'). `until_ms`: when it was resumed; NULL while it is paused. Times are those of the database.
CREATE TABLE pause (
    environment VARCHAR(20) NOT NULL,
    kind        VARCHAR(10) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    since_ms    BIGINT NOT NULL,
    until_ms    BIGINT NULL,
    ordered_by  VARCHAR(255) NOT NULL,
    PRIMARY KEY (environment, kind, name)
);
-- Every order: whose it was, what, when, and what came of it.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    environment VARCHAR(20) NOT NULL,
    at_ms       BIGINT NOT NULL,
    ordered_by  VARCHAR(255) NOT NULL,
    action      VARCHAR(50) NOT NULL,
    target      VARCHAR(500) NOT NULL,
    result      VARCHAR(500) NOT NULL
);
CREATE INDEX idx_audit_at ON audit (at_ms);
