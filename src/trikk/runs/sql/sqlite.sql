-- Statements for SQLite alone.

-- name: lock_run
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten
FROM $schema.runs WHERE id = :run

-- name: add_event
INSERT INTO $schema.events (run, kind, at, body) VALUES (:run, :kind, :at, :body)

-- name: cache_put
INSERT OR REPLACE INTO $schema.cache (key, pipeline, step, at, body) VALUES (:key, :pipeline, :step, :at, :body)
