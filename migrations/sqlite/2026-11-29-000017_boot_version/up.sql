-- The version of simplest_script that a daemon runs. NULL: a daemon of a version that did not write it.
ALTER TABLE boot ADD COLUMN version VARCHAR(40) NULL;
