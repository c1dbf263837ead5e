"""What a backfill is to do and has done, and what may begin now: pure, of its entries and the states of its runs.

A backfill is a subject of the ledger, `backfill/ID`:

    backfill.begun      the declaration                          identity begun
    backfill.paused     by, why
    backfill.resumed    by, why, code
    backfill.cancelled  by, why
    day.begun           pipeline, day, run                       identity PIPELINE/DAY
    day.left_out        pipeline, day, run (had succeeded)       identity PIPELINE/DAY

Each entry is added after the last one that was read. So of several processes one begins a day, there are never
more days at once than the declaration allows, and nothing begins after a pause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trikk.core.clock import iso
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.graph import Graph
from trikk.runs.journals.ledger import Entry
from trikk.runs.states import RunStatus

PREFIX = "backfill/"
Day = tuple[str, str]
"""A pipeline and the day it is run for, as ISO text: what is begun, and ends, as one."""


class Change(StrEnum):
    """The kinds of entries."""

    BEGUN = "backfill.begun"
    PAUSED = "backfill.paused"
    RESUMED = "backfill.resumed"
    CANCELLED = "backfill.cancelled"
    DAY_BEGUN = "day.begun"
    DAY_LEFT_OUT = "day.left_out"


class BackfillStatus(StrEnum):
    """What a backfill is at."""

    OPEN = "open"
    """There are days to begin, or some go on."""
    PAUSED = "paused"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """A day has failed, and the others wait for it to be mended."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Every day was run, and some have failed."""


class Declaration(Record, frozen=True):
    """What was asked for.

    Attributes:
        pipelines: their names, in the order in which they run for each day.
        days: ISO texts, in order.
        parameters: of each pipeline, by name and as texts, but for the day.
        day_parameters: by pipeline the parameter that takes the day; "" if it takes none.
        at: the time of the day that steps take for the present, "HH:MM"; "" for the real one.
        missing: whether days that have succeeded before are left out.
        keep_going: whether other days go on after a failure.
        parallel: how many days at once.
        max_parallel: how many steps of a run at once; None for the project's setting.
        queued: whether servers begin the days.
    """

    pipelines: tuple[str, ...]
    days: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, str]]
    day_parameters: Mapping[str, str]
    at: str = ""
    missing: bool = False
    keep_going: bool = False
    parallel: int = 1
    max_parallel: int | None = None
    queued: bool = False


@dataclass(slots=True)
class Backfill:
    """A backfill as its entries tell it.

    Attributes:
        id: its id.
        declaration: what was asked for.
        begun: when, wall time in seconds since 1970.
        runs: by day the run that was begun for it.
        left_out: by day the run that had succeeded before.
        paused: whether it is.
        cancelled: whether it is.
        by: who has paused, resumed or cancelled it last.
        why: in their words.
        resumed: when somebody had it go on last, seconds since 1970: what has failed before is tried once more.
        code: whose code goes on with what has failed, as was said then; "" for either, if both are the same.
        seq: of the last entry.
    """

    id: str
    declaration: Declaration
    begun: float
    runs: dict[Day, str] = field(default_factory=dict)
    left_out: dict[Day, str] = field(default_factory=dict)
    paused: bool = False
    cancelled: bool = False
    by: str = ""
    why: str = ""
    resumed: float = 0.0
    code: str = ""
    seq: int = 0

    def days(self) -> Iterator[Day]:
        """All that is to be run, in order."""
        return ((pipeline, day) for day in self.declaration.days for pipeline in self.declaration.pipelines)

    def take_in(self, entry: Entry) -> None:
        """Take in one more entry; kinds of a newer build change nothing."""
        body: Mapping[str, Any] = entry.body
        self.seq = entry.seq
        if entry.kind == Change.DAY_BEGUN:
            self.runs[body["pipeline"], body["day"]] = body["run"]
        elif entry.kind == Change.DAY_LEFT_OUT:
            self.left_out[body["pipeline"], body["day"]] = body["run"]
        elif entry.kind in (Change.PAUSED, Change.RESUMED, Change.CANCELLED):
            self.paused = entry.kind == Change.PAUSED
            self.cancelled = self.cancelled or entry.kind == Change.CANCELLED
            self.by, self.why = body.get("by", ""), body.get("why", "")
        if entry.kind == Change.RESUMED:
            self.resumed, self.code = entry.at, body.get("code", "")


def backfill_of(backfill: str, entries: Iterable[Entry]) -> Backfill | None:
    """The backfill that a subject's entries tell of; None if there are none."""
    state: Backfill | None = None
    for entry in entries:
        if state is None and entry.kind == Change.BEGUN:
            state = Backfill(backfill, Declaration.read(entry.body), entry.at, seq=entry.seq)
        elif state is not None:
            state.take_in(entry)
    return state


LOST = (RunStatus.FAILED, RunStatus.CANCELLED)


def next_days(backfill: Backfill, runs: Mapping[str, RunStatus], but: Collection[Day] = ()) -> list[Day]:
    """What may begin now, in order.

    Within a day the pipelines follow on each other. Of the days that are not over, the first `parallel` are at it.

    Args:
        backfill: the backfill.
        runs: what the runs that it has begun are at.
        but: days that could not be run at all; they count as failed.
    """
    if backfill.paused or backfill.cancelled:
        return []
    declared = backfill.declaration
    failed = {day for day, run in backfill.runs.items() if runs[run] in LOST} | set(but)
    if failed and not declared.keep_going:
        return []
    over = {day for day, run in backfill.runs.items() if runs[run] == RunStatus.SUCCEEDED}
    over |= failed | backfill.left_out.keys()
    due: list[Day] = []
    at_it = 0
    for day in declared.days:
        open_pipeline = next((name for name in declared.pipelines if (name, day) not in over), None)
        if open_pipeline is None:
            continue
        at_it += 1
        if (open_pipeline, day) not in backfill.runs:
            due.append((open_pipeline, day))
        if at_it == declared.parallel:
            break
    return due


class Progress(Record, frozen=True):
    """How far a backfill is, in runs.

    Attributes:
        state: of the backfill.
        total: how many there are to be.
        done: how many have succeeded.
        left_out: how many had before.
        failed: how many have failed or were cancelled.
        going: how many go on, or wait.
        left: how many have not begun.
    """

    state: BackfillStatus
    total: int
    done: int
    left_out: int
    failed: int
    going: int
    left: int

    @property
    def text(self) -> str:
        """In words, such as "12 of 30 done, 1 failed, 17 left"."""
        parts = [f"{self.done + self.left_out} of {self.total} done"]
        named = (("left out", self.left_out), ("failed", self.failed), ("at it", self.going), ("left", self.left))
        return ", ".join([*parts, *(f"{count} {name}" for name, count in named if count)])


def progress(backfill: Backfill, runs: Mapping[str, RunStatus]) -> Progress:
    """How far it is; `runs` as of `next_days`."""
    total = len(backfill.declaration.days) * len(backfill.declaration.pipelines)
    states = [runs[run] for run in backfill.runs.values()]
    done, failed = states.count(RunStatus.SUCCEEDED), sum(state in LOST for state in states)
    going, left_out = len(states) - done - failed, len(backfill.left_out)
    left = total - len(states) - left_out
    if backfill.cancelled:
        state = BackfillStatus.CANCELLED
    elif not (left or going):
        state = BackfillStatus.FAILED if failed else BackfillStatus.SUCCEEDED
    elif backfill.paused:
        state = BackfillStatus.PAUSED
    else:
        is_stopped = failed and not backfill.declaration.keep_going
        state = BackfillStatus.STOPPED if is_stopped else BackfillStatus.OPEN
    return Progress(state, total, done, left_out, failed, going, left)


def why_in_order(graphs: Iterable[Graph]) -> str:
    """Why the days of these pipelines have to follow on each other; "" if the graphs show no reason.

    A table that is read and written hands something from one day to the next. What steps keep elsewhere, or in
    registered models, a graph does not show.
    """
    every = list(graphs)
    for table in sorted({name for graph in every for name in graph.tables_written()}):
        readers = [graph.pipeline for graph in every if table in graph.tables_read()]
        writers = [graph.pipeline for graph in every if table in graph.tables_written()]
        if readers:
            return (
                f"{readers[0]} reads table {table}, which {writers[0]} writes: a day sees what the day before left"
            )
    return ""


def summary(backfill: Backfill, runs: Mapping[str, RunStatus]) -> dict[str, JSON]:
    """A backfill as `trikk backfills --json` lists it."""
    declared = backfill.declaration
    return {
        "id": backfill.id,
        "pipelines": list(declared.pipelines),
        "from": declared.days[0],
        "to": declared.days[-1],
        "begun": iso(backfill.begun),
        **progress(backfill, runs).to_json(),
        "by": backfill.by,
        "why": backfill.why,
    }


def backfill_document(backfill: Backfill, runs: Mapping[str, RunStatus]) -> dict[str, JSON]:
    """A backfill as `trikk backfills ID --json` shows it: with what has begun or was left out."""
    days: list[JSON] = [{**day} for day in days_begun(backfill, runs)]
    return {**summary(backfill, runs), "runs": days}


def days_begun(backfill: Backfill, runs: Mapping[str, RunStatus]) -> list[dict[str, str]]:
    """What has begun or was left out, in order: day, pipeline, state and run."""
    listed = []
    for pipeline, day in backfill.days():
        run = backfill.runs.get((pipeline, day))
        left_out = backfill.left_out.get((pipeline, day))
        if run is not None:
            listed.append({"day": day, "pipeline": pipeline, "state": str(runs[run]), "run": run})
        elif left_out is not None:
            listed.append({"day": day, "pipeline": pipeline, "state": "left out", "run": left_out})
    return listed
