-- Deaths charged to messages that live outside the database (Kafka records, Redis messages): their own row cannot be
-- charged. `attempts`: deaths that nothing else can have caused; `deaths`: those of a batch too; `due_ms`: not before.
CREATE TABLE IF NOT EXISTS death (
    kind       VARCHAR(10) NOT NULL,
    source     VARCHAR(255) NOT NULL,
    message_id VARCHAR(255) NOT NULL,
    attempts   INT NOT NULL,
    deaths     INT NOT NULL,
    due_ms     BIGINT NOT NULL,
    died_ms    BIGINT NOT NULL,
    PRIMARY KEY (kind, source, message_id),
    KEY idx_death_died (died_ms)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
