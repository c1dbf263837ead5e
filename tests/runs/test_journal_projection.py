from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.runs.journals.journal import Event
from trikk.runs.journals.projection import fold, kept, row_after

CREATED = Event(1, "abc", "run.created", 1.0, {"pipeline": "p", "parameters": {"a": 1}})
KINDS = ["run.started", "run.resumed", "run.waiting", "run.succeeded", "run.failed", "run.cancelled"]

events = st.lists(
    st.builds(
        Event,
        seq=st.integers(2),
        run=st.just("abc"),
        kind=st.sampled_from([*KINDS, "approval.decided", "step.failed"]),
        at=st.floats(0, 100),
        body=st.fixed_dictionaries({}, optional={"error": st.none() | st.text() | st.integers()}),
    ),
    max_size=8,
)


def after(*events: tuple[str, float] | tuple[str, float, dict[str, Any]]) -> tuple[Any, ...]:
    made = [Event(2, "abc", kind, at, body[0] if body else {}) for kind, at, *body in events]
    row = fold([CREATED, *made])
    assert row is not None
    return row.state, row.started, row.ended, row.error


@pytest.mark.parametrize(
    ("happened", "row"),
    [
        ([], ("queued", None, None, None)),
        ([("run.started", 2.0)], ("running", 2.0, None, None)),
        ([("run.started", 2.0), ("run.started", 3.0)], ("running", 2.0, None, None)),
        ([("run.started", 2.0), ("run.succeeded", 5.0)], ("succeeded", 2.0, 5.0, None)),
        ([("run.started", 2.0), ("run.failed", 5.0, {"error": "x"})], ("failed", 2.0, 5.0, "x")),
        ([("run.failed", 5.0, {"error": {"type": "x"}})], ("failed", None, 5.0, None)),
        ([("run.failed", 5.0, {"error": "x"}), ("run.resumed", 6.0)], ("running", 6.0, None, None)),
        ([("run.started", 2.0), ("run.cancelled", 5.0)], ("cancelled", 2.0, 5.0, None)),
        ([("run.started", 2.0), ("run.waiting", 3.0)], ("waiting", 2.0, None, None)),
        ([("run.started", 2.0), ("run.waiting", 3.0), ("approval.decided", 4.0)], ("queued", 2.0, None, None)),
        ([("run.started", 2.0), ("approval.decided", 4.0)], ("running", 2.0, None, None)),
        ([("run.started", 2.0), ("step.failed", 5.0, {"error": "x"})], ("running", 2.0, None, None)),
    ],
)
def test_what_events_make_of_a_row(happened: list[Any], row: tuple[Any, ...]) -> None:
    assert after(*happened) == row


@pytest.mark.parametrize("body", [{}, {"parameters": None, "origin": None}, {"parameters": [1], "origin": "x"}])
def test_a_run_created_without_parameters_or_origin_has_the_plainest(body: dict[str, Any]) -> None:
    row = fold([Event(1, "abc", "run.created", 1.0, {"pipeline": "p", **body})])
    assert row is not None
    assert (row.parameters, row.origin) == ({}, {"kind": "manual"})


def test_events_without_a_beginning_make_no_row() -> None:
    assert fold([]) is None
    assert fold([Event(2, "abc", "run.started", 1.0, {})]) is None


@given(happened=events)
def test_a_run_is_over_exactly_if_it_has_ended(happened: list[Event]) -> None:
    row = fold([CREATED, *happened])
    assert row is not None
    assert (row.ended is not None) == (row.state in ("succeeded", "failed", "cancelled"))
    assert (row.id, row.pipeline, row.parameters, row.created) == ("abc", "p", {"a": 1}, 1.0)


@given(happened=events)
def test_a_forgotten_run_folds_to_the_same_row_from_two_events(happened: list[Event]) -> None:
    row = fold([CREATED, *happened])
    assert row is not None
    forgotten = Event(99, "abc", "run.forgotten", 200.0, kept(row))
    assert fold([CREATED, forgotten]) == row_after(row, forgotten)
    assert kept(row_after(row, forgotten)) == kept(row)
