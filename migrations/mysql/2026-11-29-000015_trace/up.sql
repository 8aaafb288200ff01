-- The W3C trace of the handler that pushed a task: `traceparent`, and behind a blank `tracestate`. NULL: none.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'delay_queue_log' AND column_name = 'trace') > 0,
    'DO 0',
    'ALTER TABLE delay_queue_log
         ADD COLUMN trace VARCHAR(600) CHARACTER SET ascii COLLATE ascii_bin NULL,
         ALGORITHM = INSTANT');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
