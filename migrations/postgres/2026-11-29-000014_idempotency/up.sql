-- Idempotency keys of pushes and sends: a repetition with the same key makes nothing new. `content`: hashes of what the key names,
-- so that another use of the key is refused. `row_id`: the row of `delay_queue_log` or `queue_message` that it made. `state`: 1
-- claimed, for a message of Redis or Kafka that `owner` sends since `claimed_ms`; 2 done. Times are those of the database.
CREATE TABLE IF NOT EXISTS idempotency_key (
    key_name   VARCHAR(190) COLLATE "C" PRIMARY KEY,
    content    VARCHAR(500) COLLATE "C" NOT NULL,
    row_id     BIGINT NULL,
    state      SMALLINT NOT NULL,
    owner      VARCHAR(64) COLLATE "C" NOT NULL DEFAULT '',
    claimed_ms BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_idempotency_key_created ON idempotency_key (created_ms);
