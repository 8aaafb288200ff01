-- Where a replayed dead letter came from, when that was no table: a JSON array of its kind, source and id there. It dies
-- again under the same name, and its handler sees the same id.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'queue_message' AND column_name = 'origin') > 0,
    'DO 0',
    'ALTER TABLE queue_message ADD COLUMN origin LONGTEXT NULL, ALGORITHM = INSTANT');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
