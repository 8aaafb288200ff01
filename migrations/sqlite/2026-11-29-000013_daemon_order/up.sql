-- What people ordered that daemons carry out: a run of a cron entry now ('run'), the end of a run ('end'), a LagCheck ('check').
-- `state`: 1 waiting, 2 under way at `owner`, 3 ended as `result` says. `uk`: the run that an order makes, or ends. `params`:
-- NULL for those of the entry. Times are those of the database.
CREATE TABLE daemon_order (
    id             INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    environment    VARCHAR(20) NOT NULL,
    partition_name VARCHAR(20) NOT NULL,
    kind           VARCHAR(10) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    entry          VARCHAR(36) NOT NULL,
    uk             VARCHAR(100) NOT NULL,
    params         TEXT NULL,
    ordered_by     VARCHAR(255) NOT NULL,
    ordered_ms     BIGINT NOT NULL,
    state          SMALLINT NOT NULL,
    owner          VARCHAR(64) NOT NULL DEFAULT '',
    ended_ms       BIGINT NULL,
    result         VARCHAR(500) NOT NULL DEFAULT ''
);
CREATE INDEX idx_daemon_order_open ON daemon_order (state, environment);
CREATE INDEX idx_daemon_order_uk ON daemon_order (uk);
