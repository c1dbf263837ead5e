-- Version 4. Servers that look after the project: a row for each, written anew with each beat.
CREATE TABLE $schema.servers (
  id      TEXT PRIMARY KEY,
  host    TEXT NOT NULL,
  boot    TEXT NOT NULL,
  pid     INTEGER NOT NULL,
  started REAL NOT NULL,
  release TEXT NOT NULL,
  since   REAL NOT NULL,
  at      REAL NOT NULL,
  gone    REAL,
  body    TEXT NOT NULL
) WITHOUT ROWID;
