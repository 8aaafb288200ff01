-- What will not be tried again: messages of queues and delayed tasks alike, with all that is needed to run them again.
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind        VARCHAR(10) NOT NULL,
    source      VARCHAR(255) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    exec_cmd    VARCHAR(500) NOT NULL,
    original_id VARCHAR(255) NOT NULL,
    payload     BLOB NOT NULL,
    msg_key     BLOB NULL,
    headers     TEXT NULL,
    error       VARCHAR(1000) NOT NULL,
    attempts    INTEGER NOT NULL,
    partition_name VARCHAR(20) NOT NULL,
    first_ms    BIGINT NOT NULL,
    died_ms     BIGINT NOT NULL
);
CREATE INDEX idx_dead_letter_kind ON dead_letter (kind, source, id);
