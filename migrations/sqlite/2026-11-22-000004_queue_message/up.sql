-- The messages of all `table` queues. A row is waiting while `owner` is empty, and is deleted when it is done.
CREATE TABLE queue_message (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    queue      VARCHAR(255) NOT NULL,
    payload    BLOB NOT NULL,
    msg_key    BLOB NULL,
    headers    TEXT NULL,
    due_ms     BIGINT NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    deaths     INTEGER NOT NULL DEFAULT 0,
    owner      VARCHAR(64) NOT NULL DEFAULT '',
    fence      BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);
-- Serves the claim (owner = '', one queue, oldest due first) and the taking over of a dead owner's rows.
CREATE INDEX idx_queue_message_claim ON queue_message (owner, queue, due_ms, id);
