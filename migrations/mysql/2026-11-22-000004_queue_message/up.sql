-- The messages of all `table` queues. A row is waiting while `owner` is empty, and is deleted when it is done.
-- The index serves the claim (owner = '', one queue, oldest due first) and the taking over of a dead owner's rows.
CREATE TABLE IF NOT EXISTS queue_message (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    queue      VARCHAR(255) NOT NULL,
    payload    LONGBLOB NOT NULL,
    msg_key    LONGBLOB NULL,
    headers    LONGTEXT NULL,
    due_ms     BIGINT NOT NULL,
    attempts   INT NOT NULL DEFAULT 0,
    deaths     INT NOT NULL DEFAULT 0,
    owner      VARCHAR(64) NOT NULL DEFAULT '',
    fence      BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    KEY idx_queue_message_claim (owner, queue, due_ms, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
