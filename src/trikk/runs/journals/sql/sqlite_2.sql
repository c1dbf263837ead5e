-- Version 2. The ledger: what happened to things that outlive a run.
CREATE TABLE $schema.ledger (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  subject  TEXT NOT NULL,
  kind     TEXT NOT NULL,
  at       REAL NOT NULL,
  body     TEXT NOT NULL,
  identity TEXT
);
CREATE INDEX $schema.ledger_of_subject ON ledger (subject, seq);
CREATE UNIQUE INDEX $schema.ledger_once ON ledger (subject, identity) WHERE identity IS NOT NULL;
