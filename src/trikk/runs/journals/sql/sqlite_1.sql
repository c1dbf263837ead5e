-- Version 1. A run's row has the number of its `run.created` event, so that the newest is the one with the highest.
CREATE TABLE events (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  run  TEXT NOT NULL,
  kind TEXT NOT NULL,
  at   REAL NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX events_of_run ON events (run, seq);

CREATE TABLE runs (
  seq        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,
  pipeline   TEXT NOT NULL,
  state      TEXT NOT NULL,
  created    REAL NOT NULL,
  started    REAL,
  ended      REAL,
  parameters TEXT NOT NULL,
  origin     TEXT NOT NULL,
  error      TEXT,
  forgotten  INTEGER NOT NULL
);
CREATE INDEX runs_of_pipeline ON runs (pipeline, seq);
CREATE INDEX runs_in_state ON runs (state, seq);
CREATE INDEX runs_of_pipeline_in_state ON runs (pipeline, state, seq);

-- A lease that was released keeps its epoch and has no host.
CREATE TABLE leases (
  run     TEXT PRIMARY KEY,
  epoch   INTEGER NOT NULL,
  host    TEXT,
  boot    TEXT NOT NULL,
  pid     INTEGER NOT NULL,
  started REAL NOT NULL,
  expires REAL NOT NULL,
  since   REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE cache (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  key      TEXT NOT NULL UNIQUE,
  pipeline TEXT NOT NULL,
  step     TEXT NOT NULL,
  at       REAL NOT NULL,
  body     TEXT NOT NULL
);
CREATE INDEX cache_of_step ON cache (pipeline, step, seq);
