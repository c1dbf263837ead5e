-- Version 2. The ledger: what happened to things that outlive a run.
CREATE TABLE $schema.ledger (
  seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject  text NOT NULL,
  kind     text NOT NULL,
  at       double precision NOT NULL,
  body     text NOT NULL,
  identity text
);
CREATE INDEX ledger_of_subject ON $schema.ledger (subject, seq);
CREATE UNIQUE INDEX ledger_once ON $schema.ledger (subject, identity) WHERE identity IS NOT NULL;
