"""Which spans a run's events come to; pure."""

from __future__ import annotations

from typing import Any

from trikk.runs.journals.journal import Event
from trikk.telemetry.run_spans import RunSpans
from trikk.telemetry.span_records import NANO, SpanRecord, span_of, traceparent

CREATED = {"pipeline": "people", "environment": "main", "origin": {"kind": "trigger"}}


def spans(*events: tuple[str, dict[str, Any]]) -> list[SpanRecord]:
    """The spans of a run of these events, a second apart, in the order of their ends."""
    fold = RunSpans("r")
    endings = [fold.take(Event(at, "r", kind, float(at), body)) for at, (kind, body) in enumerate(events)]
    return [ending.record for some in endings for ending in some]


def shown(*events: tuple[str, dict[str, Any]]) -> list[tuple[str, int, int, str]]:
    """Name, start, end and outcome of each."""
    outcome = "trikk.outcome"
    return [(s.name, s.start // NANO, (s.end or 0) // NANO, s.attributes.get(outcome, "")) for s in spans(*events)]


def test_waiting_is_seen_in_a_queue_for_people_and_before_a_run_is_resumed() -> None:
    events = [
        ("run.created", CREATED),
        ("run.started", {"graph": "g"}),  # it has waited: its graph comes only now
        ("approval.asked", {"step": "publish", "question": "?"}),
        ("run.waiting", {"steps": ["publish"]}),
        ("approval.decided", {"step": "publish", "approved": True, "by": "jo", "why": ""}),
        ("run.resumed", {}),
        ("step.succeeded", {"step": "publish", "outputs": []}),
        ("run.handed_over", {"by": "a signal to end"}),
        ("run.resumed", {}),
        ("run.succeeded", {}),
    ]
    assert shown(*events) == [
        ("queued", 0, 1, ""),
        ("people", 0, 3, "waiting"),
        ("approval publish", 2, 4, ""),
        ("queued", 4, 5, ""),
        ("people", 4, 7, "handed_over"),
        ("people", 8, 9, "succeeded"),
    ]
    first, *later = [s for s in spans(*events) if s.name == "people"]
    assert [s.parent for s in later] == [first.span, first.span]
    assert len({s.span for s in spans(*events)}) == 6


def test_a_run_that_ends_in_the_queue_has_a_span_and_one_that_is_over_has_no_second() -> None:
    cancelled = ("run.cancelled", {"error": "cancelled by jo; it had no driver"})
    assert shown(("run.created", CREATED), cancelled, cancelled) == [("people", 0, 1, "cancelled")]


def test_what_a_dead_driver_left_open_is_lost_and_what_could_not_begin_has_no_length() -> None:
    error = {"kind": "loaded", "type": "", "message": "gone", "where": "", "retryable": False}
    events = [
        ("run.created", CREATED),
        ("run.started", {}),
        ("step.expanded", {"step": "fit", "count": 2}),
        ("step.started", {"step": "fit", "item": 0, "attempt": 1, "log": "runs/r/fit.0.1.log"}),
        ("run.resumed", {}),
        ("step.cached", {"step": "rows", "outputs": [], "run": "q"}),
        ("step.failed", {"step": "fit", "item": 0, "attempt": 0, "error": error, "retry_in": None}),
        ("run.failed", {"error": "step fit[0]: gone"}),
    ]
    assert shown(*events) == [
        ("fit", 3, 4, "lost"),
        ("fit", 2, 4, "lost"),
        ("people", 0, 4, "lost"),
        ("rows", 5, 5, "cached"),
        ("fit", 6, 6, "failed"),
        ("people", 4, 7, "failed"),
    ]
    taken = spans(*events)[3]
    assert [(x.span, x.attributes["trikk.link"]) for x in taken.links] == [(span_of("q", "run", 0), "result of")]
    assert [s.message for s in spans(*events)][-2:] == ["loaded: gone", "step fit[0]: gone"]


def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins() -> None:
    fold = RunSpans("r")
    fold.take(Event(1, "r", "run.created", 50.0, CREATED))
    (ending,) = fold.take(Event(2, "r", "run.cancelled", 20.0, {"error": "x"}))
    assert ending.record.end == ending.record.start


def test_a_trace_is_handed_on_in_the_form_that_others_read() -> None:
    assert traceparent("a" * 32, "b" * 16, 1) == f"00-{'a' * 32}-{'b' * 16}-01"
