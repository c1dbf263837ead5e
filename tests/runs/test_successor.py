"""A run's state, and what its steps have logged, after more events: the fold of all; none before is changed."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.runs.journals.journal import Event
from trikk.runs.run_state import RunState
from trikk.tracking.fold import RunRecord

STEPS, ITEMS = ("load", "fit"), (None, None, 0, 1, 2)
OUTPUT = {"digest": "0" * 64, "codec": "json", "size": 1, "summary": {}}
BODIES: dict[str, dict[str, Any]] = {
    "step.started": {"attempt": 1, "log": "a.log"},
    "step.succeeded": {"outputs": [OUTPUT], "seconds": 1.0},
    "step.failed": {"error": {"message": "no"}, "retry_in": None},
    "step.cancelled": {},
    "step.invalidated": {"reason": "again"},
    "step.expanded": {"count": 3},
    "step.skipped": {"reason": "no"},
    "approval.asked": {"question": "?", "shown": {}},
    "approval.decided": {"approved": True, "by": "ada", "why": ""},
    "metric.logged": {"attempt": 1, "name": "mae", "value": 1.5, "index": None},
    "param.logged": {"attempt": 1, "name": "depth", "value": 3},
    "artifact.logged": {"attempt": 1, "name": "plot", "kind": "figure", "artifact": OUTPUT},
    "run.started": {},
    "run.resumed": {},
    "run.failed": {"error": "no"},
    "run.cancelled": {"error": "no"},
    "run.succeeded": {},
    "run.waiting": {},
    "note.added": {},
}
happened = st.lists(
    st.tuples(st.sampled_from(sorted(BODIES)), st.sampled_from(STEPS), st.sampled_from(ITEMS)), max_size=25
)


def events_of(told: list[tuple[str, str, int | None]]) -> list[Event]:
    events = [Event(1, "r", "run.created", 0.0, {"pipeline": "p"})]
    for seq, (kind, step, item) in enumerate(told, 2):
        events.append(Event(seq, "r", kind, float(seq), {"step": step, "item": item, **BODIES[kind]}))
    return events


@given(happened, st.lists(st.integers(1, 25), max_size=4))
@settings(max_examples=200)
def test_a_successor_is_the_fold_of_all_events(told: list[Any], cuts: list[int]) -> None:
    events = events_of(told)
    whole = RunState.fold("r", events, STEPS), RunRecord.fold("r", events)
    places = sorted({0, *(cut for cut in cuts if cut < len(events)), len(events)})
    state, record = RunState.fold("r", [], STEPS), RunRecord("r")
    seen = []
    for start, end in itertools.pairwise(places):
        state, record = state.successor(events[start:end]), record.successor(events[start:end])
        seen.append((state, record, copy.deepcopy(state), copy.deepcopy(record)))
    assert (state, record) == whole
    for one, logged, as_it_was, as_logged in seen:  # whoever still reads an earlier one
        assert (one, logged) == (as_it_was, as_logged)
