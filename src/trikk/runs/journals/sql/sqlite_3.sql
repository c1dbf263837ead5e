-- Version 3. Checksums, each over the one before: of a run's events, the last one in its row, and of a subject's
-- entries, the last one in `heads`. What is there already gets them when the journal is brought up to this version.
ALTER TABLE $schema.events ADD COLUMN chain TEXT;
ALTER TABLE $schema.runs ADD COLUMN chain TEXT;
ALTER TABLE $schema.ledger ADD COLUMN chain TEXT;
CREATE TABLE $schema.heads (
  subject TEXT PRIMARY KEY,
  chain   TEXT NOT NULL
) WITHOUT ROWID;
