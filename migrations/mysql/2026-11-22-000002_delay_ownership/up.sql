-- Who runs a row, and which claim of it this is. Defaults let the Go program go on inserting as it does.
-- MySQL has no `ADD COLUMN IF NOT EXISTS`: each step looks first whether it is done. `INSTANT` touches no row.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'delay_queue_log' AND column_name = 'due_ms') > 0,
    'DO 0',
    'ALTER TABLE delay_queue_log
         ADD COLUMN owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '''',
         ADD COLUMN fence BIGINT NOT NULL DEFAULT 0,
         ADD COLUMN attempts INT NOT NULL DEFAULT 0,
         ADD COLUMN due_ms BIGINT NULL,
         ALGORITHM = INSTANT');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
-- The Go project's index, which each claim walks. A table made by hand may lack it.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = 'delay_queue_log' AND index_name = 'idx_status_exectime') > 0,
    'DO 0',
    'ALTER TABLE delay_queue_log ADD INDEX idx_status_exectime (status, exec_time), ALGORITHM = INPLACE, LOCK = NONE');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
-- And the one by which a run is found.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = 'crontab_log' AND seq_in_index = 1 AND column_name = 'uk') > 0,
    'DO 0',
    'ALTER TABLE crontab_log ADD INDEX idx_uk_time (uk, create_time), ALGORITHM = INPLACE, LOCK = NONE');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
