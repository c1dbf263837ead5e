"""The kinds of events a run's journal holds, and what each body says.

    run.created          pipeline, parameters, origin, lock, graph (digest of the graph's JSON in the store)
    run.started          driver, isolation; graph, lock, if the run waited in a queue and is locked only now
    run.resumed          driver, isolation, code ("locked" or "current"), graph, lock
    run.cancel_requested by
    run.resume_requested by, why, code ("locked" or "current"), current_data, again, keep    somebody wants it to
                         go on: it is queued again
    run.handed_over      by          its driver was told to end, and stopped its steps: the run goes on elsewhere
    run.waiting          steps (whose approvals are all that is left), until (the first of them expires, or null)
    run.succeeded / run.failed (error) / run.cancelled (error)

    step.started         step, item, attempt, log
    step.succeeded       step, item, outputs, seconds, loading and storing (seconds of these, if worth telling),
                         peak_memory, write, note (what a ready-made step says)
    step.failed          step, item, attempt, error, retry_in (seconds, or null when it is final)
    step.cancelled       step, item, attempt
    step.expanded        step, count            a mapped step learns how many items it has
    step.skipped         step, reason
    step.cached          step, item, outputs, run, reason
    step.cache_missed    step, item, reason
    step.invalidated     step, item, reason     a finished step must run again when its run is resumed

    approval.asked       step, question, shown, expires (seconds since 1970, or null), on_expiry
    approval.decided     step, approved, by, why; the first for a question counts, and no other is written

    metric.logged        step, item, attempt, name, value, index       what a step wrote down of itself; it stays
    param.logged         step, item, attempt, name, value              whatever becomes of the step
    artifact.logged      step, item, attempt, name, kind, artifact
    source.read          step, item, attempt, source, rows and what was read from where
    quality.checked      step, item, attempt, verdict, passed, warned, rows, checks, result, report    what a gate
                         found, without any row; `result` and `report` are artifacts

`item` is a mapped step's position, absent otherwise. `outputs` are artifacts as JSON, one, or as many as the
step declares.
"""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """What happened. A journal may hold other kinds: a newer build, or an author's step, wrote them."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_RESUMED = "run.resumed"
    RUN_CANCEL_REQUESTED = "run.cancel_requested"
    RUN_RESUME_REQUESTED = "run.resume_requested"
    RUN_HANDED_OVER = "run.handed_over"
    RUN_WAITING = "run.waiting"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_FORGOTTEN = "run.forgotten"

    APPROVAL_ASKED = "approval.asked"
    APPROVAL_DECIDED = "approval.decided"

    METRIC_LOGGED = "metric.logged"
    PARAM_LOGGED = "param.logged"
    ARTIFACT_LOGGED = "artifact.logged"
    QUALITY_CHECKED = "quality.checked"
    SOURCE_READ = "source.read"

    STEP_STARTED = "step.started"
    STEP_SUCCEEDED = "step.succeeded"
    STEP_FAILED = "step.failed"
    STEP_CANCELLED = "step.cancelled"
    STEP_EXPANDED = "step.expanded"
    STEP_SKIPPED = "step.skipped"
    STEP_CACHED = "step.cached"
    STEP_CACHE_MISSED = "step.cache_missed"
    STEP_INVALIDATED = "step.invalidated"
