-- What SQLite and PostgreSQL understand alike. `-- name:` begins a statement; $schema is set when it is loaded.

-- name: run
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten
FROM $schema.runs WHERE id = :run

-- name: place
SELECT seq FROM $schema.runs WHERE id = :run

-- name: every_run
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten, chain, seq
FROM $schema.runs

-- name: runs
SELECT id, pipeline, state, created, started, ended, parameters, origin, error, forgotten
FROM $schema.runs $where ORDER BY seq $order LIMIT :limit OFFSET :offset

-- name: count
SELECT count(*) FROM $schema.runs $where

-- name: recent
SELECT id FROM $schema.runs ORDER BY seq DESC LIMIT :limit

-- name: find
SELECT id FROM $schema.runs WHERE id >= :low AND id < :high ORDER BY seq DESC LIMIT :limit

-- name: add_run
INSERT INTO $schema.runs
  (seq, id, pipeline, state, created, started, ended, parameters, origin, error, forgotten, chain)
VALUES
  (:seq, :id, :pipeline, :state, :created, :started, :ended, :parameters, :origin, :error, :forgotten, :chain)
ON CONFLICT (id) DO NOTHING

-- name: change_run
UPDATE $schema.runs SET
  state = :state, started = :started, ended = :ended, error = :error, forgotten = :forgotten
WHERE id = :id

-- name: events
SELECT run, seq, kind, at, body, chain FROM $schema.events WHERE run = :run AND seq > :after ORDER BY seq
LIMIT :limit

-- name: first_chain
SELECT chain FROM $schema.events WHERE run = :run ORDER BY seq LIMIT 1

-- name: put_chain
UPDATE $schema.runs SET chain = :chain WHERE id = :run

-- name: put_event_chain
UPDATE $schema.events SET chain = :chain WHERE seq = :seq

-- name: head
SELECT chain FROM $schema.heads WHERE subject = :subject

-- name: put_head
INSERT INTO $schema.heads (subject, chain) VALUES (:subject, :chain)
ON CONFLICT (subject) DO UPDATE SET chain = excluded.chain

-- name: put_entry_chain
UPDATE $schema.ledger SET chain = :chain WHERE seq = :seq

-- name: every_head
SELECT subject, chain FROM $schema.heads

-- name: every_run_id
SELECT id FROM $schema.runs

-- name: every_subject
SELECT DISTINCT subject FROM $schema.ledger

-- name: unchecked
SELECT (SELECT count(*) FROM $schema.events WHERE chain IS NULL)
  + (SELECT count(*) FROM $schema.ledger WHERE chain IS NULL)

-- name: every_event
SELECT run, seq, kind, at, body, chain FROM $schema.events ORDER BY run, seq

-- name: last_seq
SELECT max(seq) FROM $schema.events WHERE run = :run

-- name: first_of_kind
SELECT seq FROM $schema.events WHERE run = :run AND kind = :kind LIMIT 1

-- name: newest_event
SELECT coalesce(max(seq), 0) FROM $schema.events

-- name: position
SELECT (SELECT coalesce(max(seq), 0) FROM $schema.events), (SELECT coalesce(max(seq), 0) FROM $schema.ledger)

-- name: run_ends
SELECT run, seq, kind, at, body FROM $schema.events
WHERE seq > :after AND seq <= :until AND kind IN ('run.succeeded', 'run.failed', 'run.cancelled') ORDER BY seq

-- name: drop_events
DELETE FROM $schema.events WHERE run = :run AND seq < :before AND kind <> :keep

-- name: lease
SELECT epoch, host, boot, pid, started, expires, since FROM $schema.leases WHERE run = :run

-- name: leases
SELECT leases.run, epoch, host, boot, pid, leases.started, expires, since
FROM $schema.runs AS runs JOIN $schema.leases AS leases ON leases.run = runs.id
WHERE runs.state IN ('queued', 'running') AND host IS NOT NULL

-- name: put_lease
INSERT INTO $schema.leases (run, epoch, host, boot, pid, started, expires, since)
VALUES (:run, :epoch, :host, :boot, :pid, :started, :expires, :since)
ON CONFLICT (run) DO UPDATE SET
  epoch = excluded.epoch, host = excluded.host, boot = excluded.boot, pid = excluded.pid,
  started = excluded.started, expires = excluded.expires, since = excluded.since

-- name: renew_lease
UPDATE $schema.leases SET expires = :expires WHERE run = :run AND epoch = :epoch AND host IS NOT NULL

-- name: release_lease
UPDATE $schema.leases SET host = NULL WHERE run = :run AND epoch = :epoch

-- name: cache_get
SELECT body FROM $schema.cache WHERE key = :key

-- name: cache_latest
SELECT body FROM $schema.cache WHERE pipeline = :pipeline AND step = :step ORDER BY seq DESC LIMIT 1

-- name: entry_of_identity
SELECT seq, kind, at, body, identity FROM $schema.ledger WHERE subject = :subject AND identity = :identity

-- name: entries
SELECT seq, kind, at, body, identity FROM $schema.ledger WHERE subject = :subject AND seq > :after ORDER BY seq

-- name: last_entry
SELECT max(seq) FROM $schema.ledger WHERE subject = :subject

-- name: newest_entries
SELECT seq, kind, at, body, identity FROM $schema.ledger WHERE subject = :subject AND seq < :before
ORDER BY seq DESC LIMIT :limit

-- name: history
SELECT subject, seq, kind, at, body, identity FROM $schema.ledger
WHERE subject >= :low AND subject < :high AND seq > :after ORDER BY seq LIMIT :most

-- name: subjects
WITH RECURSIVE known(subject) AS (
  SELECT min(subject) FROM $schema.ledger WHERE subject >= :low AND subject < :high
  UNION ALL
  SELECT (SELECT min(subject) FROM $schema.ledger WHERE subject > known.subject AND subject < :high)
  FROM known WHERE subject IS NOT NULL
)
SELECT subject FROM known WHERE subject IS NOT NULL

-- name: next_subject
SELECT min(subject) FROM $schema.ledger WHERE subject >= :low AND subject < :high

-- name: every_entry
SELECT subject, seq, kind, at, body, identity, chain FROM $schema.ledger ORDER BY subject, seq

-- name: beat
INSERT INTO $schema.servers (id, host, boot, pid, started, release, since, at, gone, body)
VALUES (:id, :host, :boot, :pid, :started, :release, :since, :at, :gone, :body)
ON CONFLICT (id) DO UPDATE SET release = excluded.release, at = excluded.at, gone = excluded.gone, body = excluded.body

-- name: leave
UPDATE $schema.servers SET at = :at, gone = :at WHERE id = :id

-- name: servers
SELECT id, host, boot, pid, started, release, since, at, gone, body FROM $schema.servers ORDER BY since, id

-- name: drop_servers
DELETE FROM $schema.servers WHERE at < :before
