-- Statements for SQLite alone.

-- name: lock_run
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten, chain
FROM $schema.runs WHERE id = :run

-- name: add_event
INSERT INTO $schema.events (run, kind, at, body, chain) VALUES (:run, :kind, :at, :body, :chain)

-- name: cache_put
INSERT OR REPLACE INTO $schema.cache (key, pipeline, step, at, body) VALUES (:key, :pipeline, :step, :at, :body)

-- name: lock_subject
SELECT :subject

-- name: add_entry
INSERT INTO $schema.ledger (subject, kind, at, body, identity, chain)
VALUES (:subject, :kind, :at, :body, :identity, :chain) RETURNING seq
