"""The state diagrams of docs/concepts.md are drawn as the code goes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event
from trikk.runs.run_state import RunState

DOCS = Path(__file__).parents[2] / "docs"
STEP = {"step": "fit", "attempt": 1, "outputs": [], "reason": "", "error": {}}
RUN_WAYS = {
    "queued": [(EventKind.APPROVAL_DECIDED, {"step": "ask"})],
    "running": [(EventKind.RUN_STARTED, {}), (EventKind.RUN_RESUMED, {})],
    "waiting": [(EventKind.RUN_WAITING, {})],
    "succeeded": [(EventKind.RUN_SUCCEEDED, {})],
    "failed": [(EventKind.RUN_FAILED, {})],
    "cancelled": [(EventKind.RUN_CANCELLED, {})],
}
STEP_WAYS = {
    "waiting": [(EventKind.STEP_INVALIDATED, STEP), (EventKind.RUN_RESUMED, {})],
    "running": [(EventKind.STEP_STARTED, STEP)],
    "retrying": [(EventKind.STEP_FAILED, {**STEP, "retry_in": 1.0})],
    "succeeded": [(EventKind.STEP_SUCCEEDED, STEP), (EventKind.STEP_CACHED, STEP)],
    "failed": [(EventKind.STEP_FAILED, STEP), (EventKind.RUN_FAILED, {})],
    "cancelled": [(EventKind.STEP_CANCELLED, STEP)],
    "skipped": [(EventKind.STEP_SKIPPED, STEP)],
}


@pytest.fixture(scope="module")
def diagrams() -> ModuleType:
    spec = importlib.util.spec_from_file_location("diagrams", DOCS / "diagrams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["diagrams"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_those_of_the_script(diagrams: Any) -> None:
    for name, diagram in diagrams.DIAGRAMS.items():
        assert (DOCS / "images" / f"states-{name}.svg").read_text() == diagrams.svg(diagram)


def test_each_arrow_of_a_run_is_an_event_of_its_journal(diagrams: Any) -> None:
    for arrow in diagrams.RUN.arrows:
        assert any(_run([*_to_run(arrow.start), way]).state == arrow.end for way in RUN_WAYS[arrow.end])


def test_each_arrow_of_a_step_is_an_event_of_its_run(diagrams: Any) -> None:
    assert set(diagrams.STEP.states) == set(STEP_WAYS)
    for arrow in diagrams.STEP.arrows:
        before = [] if arrow.start == "waiting" else [STEP_WAYS[arrow.start][0]]
        states = [_run([*before, way]).steps["fit"].state for way in STEP_WAYS[arrow.end]]
        assert arrow.end in states, arrow


def _to_run(state: str) -> list[tuple[str, dict[str, Any]]]:
    return [] if state == "queued" else [RUN_WAYS[state][0]]


def _run(happened: list[tuple[str, dict[str, Any]]]) -> RunState:
    events = [Event(seq, "r", kind, 0.0, dict(body)) for seq, (kind, body) in enumerate(happened, 1)]
    return RunState.fold("r", events, ["fit"])
