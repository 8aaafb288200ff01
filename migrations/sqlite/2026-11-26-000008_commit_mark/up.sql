-- Nothing to do here: a commit to a file cannot lose its answer. On servers this is the table that tells.
SELECT 1;
