-- Version 5: as in sqlite_4.sql.
CREATE TABLE $schema.servers (
  id      text COLLATE "C" PRIMARY KEY,
  host    text NOT NULL,
  boot    text NOT NULL,
  pid     bigint NOT NULL,
  started double precision NOT NULL,
  release text NOT NULL,
  since   double precision NOT NULL,
  at      double precision NOT NULL,
  gone    double precision,
  body    text NOT NULL
);
