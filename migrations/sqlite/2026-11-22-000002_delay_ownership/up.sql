-- Who runs a row, and which claim of it this is. Defaults let the Go program go on inserting as it does.
ALTER TABLE delay_queue_log ADD COLUMN owner VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE delay_queue_log ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE delay_queue_log ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delay_queue_log ADD COLUMN due_ms BIGINT NULL;
