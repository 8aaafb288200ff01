-- What will not be tried again: messages of queues and delayed tasks alike, with all that is needed to run them again.
CREATE TABLE IF NOT EXISTS dead_letter (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind        VARCHAR(10) NOT NULL,
    source      VARCHAR(255) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    exec_cmd    VARCHAR(500) NOT NULL,
    original_id VARCHAR(255) NOT NULL,
    payload     LONGBLOB NOT NULL,
    msg_key     LONGBLOB NULL,
    headers     LONGTEXT NULL,
    error       VARCHAR(1000) NOT NULL,
    attempts    INT NOT NULL,
    partition_name VARCHAR(20) NOT NULL,
    first_ms    BIGINT NOT NULL,
    died_ms     BIGINT NOT NULL,
    KEY idx_dead_letter_kind (kind, source, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
