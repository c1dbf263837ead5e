-- Version 1: as in sqlite_1.sql. Names are compared byte by byte, so that a prefix is a range.
CREATE TABLE $schema.version (version integer PRIMARY KEY);

CREATE TABLE $schema.events (
  seq  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run  text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  at   double precision NOT NULL,
  body text NOT NULL
);
CREATE INDEX events_of_run ON $schema.events (run, seq);

CREATE TABLE $schema.runs (
  seq        bigint PRIMARY KEY,
  id         text COLLATE "C" NOT NULL UNIQUE,
  pipeline   text COLLATE "C" NOT NULL,
  state      text COLLATE "C" NOT NULL,
  created    double precision NOT NULL,
  started    double precision,
  ended      double precision,
  parameters text NOT NULL,
  origin     text NOT NULL,
  error      text,
  forgotten  integer NOT NULL
);
CREATE INDEX runs_of_pipeline ON $schema.runs (pipeline, seq);
CREATE INDEX runs_in_state ON $schema.runs (state, seq);
CREATE INDEX runs_of_pipeline_in_state ON $schema.runs (pipeline, state, seq);

CREATE TABLE $schema.leases (
  run     text COLLATE "C" PRIMARY KEY,
  epoch   bigint NOT NULL,
  host    text,
  boot    text NOT NULL,
  pid     bigint NOT NULL,
  started double precision NOT NULL,
  expires double precision NOT NULL,
  since   double precision NOT NULL
);

CREATE TABLE $schema.cache (
  seq      bigint GENERATED ALWAYS AS IDENTITY,
  key      text COLLATE "C" PRIMARY KEY,
  pipeline text COLLATE "C" NOT NULL,
  step     text COLLATE "C" NOT NULL,
  at       double precision NOT NULL,
  body     text NOT NULL
);
CREATE INDEX cache_of_step ON $schema.cache (pipeline, step, seq);
