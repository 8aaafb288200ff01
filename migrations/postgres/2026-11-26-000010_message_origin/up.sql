-- Where a replayed dead letter came from, when that was no table: a JSON array of its kind, source and id there. It dies
-- again under the same name, and its handler sees the same id.
ALTER TABLE queue_message ADD COLUMN IF NOT EXISTS origin TEXT NULL;
