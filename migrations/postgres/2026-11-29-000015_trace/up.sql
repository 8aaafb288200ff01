-- The W3C trace of the handler that pushed a task: `traceparent`, and behind a blank `tracestate`. NULL: none.
ALTER TABLE delay_queue_log ADD COLUMN IF NOT EXISTS trace VARCHAR(600) COLLATE "C" NULL;
