-- The version of simplest_script that a daemon runs. NULL: a daemon of a version that did not write it.
SET @step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'boot' AND column_name = 'version') > 0,
    'DO 0',
    'ALTER TABLE boot ADD COLUMN version VARCHAR(40) NULL, ALGORITHM = INSTANT');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
