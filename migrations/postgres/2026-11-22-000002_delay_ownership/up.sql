-- Who runs a row, and which claim of it this is. Defaults let the Go program go on inserting as it does.
ALTER TABLE delay_queue_log ADD COLUMN IF NOT EXISTS owner VARCHAR(64) COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE delay_queue_log ADD COLUMN IF NOT EXISTS fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE delay_queue_log ADD COLUMN IF NOT EXISTS attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delay_queue_log ADD COLUMN IF NOT EXISTS due_ms BIGINT NULL;
