-- Statements for PostgreSQL alone. A run's appends and leases are serialised by the lock on its row.

-- name: lock_run
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten, chain
FROM $schema.runs WHERE id = :run FOR UPDATE

-- name: add_event
WITH head AS (UPDATE $schema.runs SET chain = :chain WHERE id = :run)
INSERT INTO $schema.events (run, kind, at, body, chain) VALUES (:run, :kind, :at, :body, :chain) RETURNING seq

-- name: cache_put
INSERT INTO $schema.cache (key, pipeline, step, at, body) VALUES (:key, :pipeline, :step, :at, :body)
ON CONFLICT (key) DO UPDATE SET
  seq = DEFAULT, pipeline = excluded.pipeline, step = excluded.step, at = excluded.at, body = excluded.body

-- name: prepare
SELECT set_config('lock_timeout', :wait, false), to_regclass('$schema.version') IS NOT NULL

-- name: wait_for_schema
SELECT pg_advisory_xact_lock(hashtext('$schema.version'))

-- name: has_schema
SELECT 1 FROM pg_namespace WHERE nspname = '$schema'

-- name: make_schema
CREATE SCHEMA $schema

-- name: has_version
SELECT to_regclass('$schema.version') IS NOT NULL

-- name: version
SELECT max(version) FROM $schema.version

-- name: set_version
INSERT INTO $schema.version (version) VALUES (:version)

-- name: lock_subject
SELECT pg_advisory_xact_lock(hashtextextended('$schema/' || :subject, 0))

-- name: add_entry
INSERT INTO $schema.ledger (subject, kind, at, body, identity, chain)
VALUES (:subject, :kind, :at, :body, :identity, :chain) RETURNING seq

-- name: lock_all
LOCK TABLE $schema.runs, $schema.events, $schema.ledger, $schema.heads, $schema.cache IN EXCLUSIVE MODE

-- name: number_events
SELECT setval(pg_get_serial_sequence('$schema.events', 'seq'), max(seq)) FROM $schema.events HAVING max(seq) IS NOT NULL

-- name: number_ledger
SELECT setval(pg_get_serial_sequence('$schema.ledger', 'seq'), max(seq)) FROM $schema.ledger HAVING max(seq) IS NOT NULL

-- name: number_cache
SELECT setval(pg_get_serial_sequence('$schema.cache', 'seq'), max(seq)) FROM $schema.cache HAVING max(seq) IS NOT NULL
