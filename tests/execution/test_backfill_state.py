"""What of a backfill may begin, how far it is, and why its days have to follow on each other."""

from __future__ import annotations

import itertools
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk import Table, pipeline, step
from trikk.core.errors import RunError, UnknownName
from trikk.execution.backfills.backfill_ledger import begin, cause_of, change, enqueue_next, every, find, refresh
from trikk.execution.backfills.backfill_state import (
    Backfill,
    BackfillStatus,
    Change,
    Declaration,
    next_days,
    progress,
    why_in_order,
)
from trikk.execution.project import Project
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.states import RunStatus

DAYS = tuple(f"2020-03-0{n}" for n in range(1, 6))
ENDS = (RunStatus.SUCCEEDED, RunStatus.FAILED)


def backfill(**more: Any) -> Backfill:
    pipelines = more.pop("pipelines", ("night",))
    declared = Declaration(pipelines, DAYS, {}, dict.fromkeys(pipelines, "day"), **more)
    return Backfill("b", declared, 0.0)


@given(
    parallel=st.integers(1, 4),
    keep_going=st.booleans(),
    pipelines=st.sampled_from([("a",), ("a", "b")]),
    data=st.data(),
)
def test_whatever_order_runs_end_in_each_day_begins_once_and_never_too_many_at_once(
    parallel: int, keep_going: bool, pipelines: tuple[str, ...], data: st.DataObject
) -> None:
    state = backfill(pipelines=pipelines, parallel=parallel, keep_going=keep_going)
    runs: dict[str, RunStatus] = {}
    numbers = itertools.count()
    while True:
        due = next_days(state, runs)
        for day in due:
            assert day not in state.runs
            run = state.runs[day] = f"r{next(numbers)}"
            runs[run] = RunStatus.RUNNING
            earlier = [(name, day[1]) for name in pipelines[: pipelines.index(day[0])]]
            assert all(runs[state.runs[one]] in ENDS for one in earlier)
        going = [run for run, status in runs.items() if status == RunStatus.RUNNING]
        assert len(going) <= parallel
        if not going:
            break
        runs[data.draw(st.sampled_from(going))] = data.draw(st.sampled_from(ENDS))
    has_failed = RunStatus.FAILED in runs.values()
    if keep_going or not has_failed:
        assert set(state.runs) == set(state.days())
    far = progress(state, runs)
    assert far.total == far.done + far.failed + far.left
    assert far.state in ((BackfillStatus.FAILED, BackfillStatus.STOPPED) if has_failed else ("succeeded",))


def test_nothing_begins_while_it_is_paused_or_after_it_is_cancelled_or_was_left_out() -> None:
    state = backfill()
    state.left_out["night", DAYS[0]] = "before"
    assert next_days(state, {}) == [("night", DAYS[1])]
    state.paused = True
    assert next_days(state, {}) == []
    assert progress(state, {}).text == "1 of 5 done, 1 left out, 4 left"
    state.paused, state.cancelled = False, True
    assert next_days(state, {}) == []


def test_a_day_begins_only_if_nothing_has_happened_since_it_was_decided() -> None:
    journal = MemoryJournal()
    one = begin(journal, backfill(parallel=2).declaration, 1.0)
    two = find(journal, one.id[:6])
    change(journal, two, Change.PAUSED, by="anna", why="the source is wrong", now=2.0)
    cause = cause_of(one, ("night", DAYS[0]))
    with pytest.raises(Exception, match="changed by somebody else"):
        journal.create_once("r1", "night", {}, cause, at=3.0)
    refresh(journal, one)
    assert (one.paused, one.by, one.why) == (True, "anna", "the source is wrong")
    change(journal, one, Change.CANCELLED, by="bo", why="", now=4.0)
    with pytest.raises(RunError, match="was cancelled by bo"):
        change(journal, two, Change.RESUMED, by="anna", why="", now=5.0)
    assert [found.id for found in every(journal)] == [one.id]
    with pytest.raises(UnknownName):
        find(journal, "nope")


def test_what_has_succeeded_is_not_cancelled_paused_or_gone_on_with() -> None:
    journal = MemoryJournal()
    one = begin(journal, backfill(pipelines=("night",)).declaration, 1.0)
    for number, day in enumerate(one.declaration.days):
        refresh(journal, one)
        journal.create_once(f"r{number}", "night", {}, cause_of(one, ("night", day)), at=2.0)
        journal.append(f"r{number}", "run.succeeded", {}, at=3.0)
    for kind in (Change.PAUSED, Change.RESUMED, Change.CANCELLED):
        with pytest.raises(RunError, match="has succeeded"):
            change(journal, one, kind, by="bo", why="", now=4.0)
    assert (one.paused, one.cancelled) == (False, False)


def test_a_server_may_queue_what_is_due_and_a_second_one_finds_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('name = "p"\n')
    project = Project.open(tmp_path)
    one = begin(project.journal, backfill(pipelines=("load",), parallel=2, at="04:00").declaration, 1.0)
    two = find(project.journal, one.id)
    runs = enqueue_next(project, {"load": load.graph}, one, 2.0)
    assert enqueue_next(project, {"load": load.graph}, two, 2.0) == []
    rows = [project.journal.row(run) for run in runs]
    assert [row.parameters for row in rows] == [{"day": DAYS[0]}, {"day": DAYS[1]}]
    assert {(row.state, row.origin["backfill"]) for row in rows} == {("queued", one.id)}
    with pytest.raises(UnknownName):
        enqueue_next(project, {}, begin(project.journal, one.declaration, 3.0), 3.0)
    project.close()


@step
def rows(day: date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@step
def add(before: pl.DataFrame, day: date) -> pl.DataFrame:
    return before


@pipeline
def load(day: date) -> None:
    Table("counts").append(rows(day))


@pipeline
def carry_over(day: date) -> None:
    Table("levels").append(add(Table("levels", optional=True), day))


@pipeline
def judge(day: date) -> None:
    add(Table("counts"), day)


def test_days_that_hand_a_table_on_have_to_follow_on_each_other() -> None:
    assert why_in_order([load.graph]) == ""
    assert why_in_order([judge.graph]) == ""
    assert why_in_order([carry_over.graph]).startswith("carry_over reads table levels, which carry_over writes")
    assert why_in_order([load.graph, judge.graph]).startswith("judge reads table counts, which load writes")
