-- Version 4: as in sqlite_3.sql.
ALTER TABLE $schema.events ADD COLUMN chain text;
ALTER TABLE $schema.runs ADD COLUMN chain text;
ALTER TABLE $schema.ledger ADD COLUMN chain text;
CREATE TABLE $schema.heads (
  subject text COLLATE "C" PRIMARY KEY,
  chain   text NOT NULL
);
