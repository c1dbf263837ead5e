"""What a user sees while a run goes on: a line for each thing that happened, and a bar on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from trikk.cli.printing import artifact_text, echo
from trikk.core.durations import show_seconds
from trikk.core.text import counted, printable
from trikk.execution.workers.traces import headline
from trikk.runs.events import EventKind
from trikk.runs.states import StepStatus

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import RunState

_EVERY_ITEM_UP_TO = 20
_NO_MORE = (EventKind.RUN_SUCCEEDED, EventKind.RUN_FAILED, EventKind.RUN_CANCELLED, EventKind.RUN_WAITING)


class Progress:
    """Tells of events on stderr; use it in a `with` statement and give it to `How` as the listener.

    Args:
        quiet: say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty() and not quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_bar()

    def __call__(self, event: Event, state: RunState) -> None:
        """Take an event."""
        if self.quiet:
            return
        line = describe(event, state)
        # Not before the first step: a run that is refused shows no bar.
        if event.kind == EventKind.STEP_STARTED and self.live:
            self._show_bar(state)
        if line is not None:
            self.say(line)
        if event.kind in _NO_MORE:
            self._end_bar()
        elif self._bar is not None:
            self._advance(state)

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
        else:
            echo(line, err=True)

    def _show_bar(self, state: RunState) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(state.pipeline, total=None)

    def _advance(self, state: RunState) -> None:
        done = sum(
            1
            for s in state.steps.values()
            if s.state in (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.FAILED)
        )
        now = [name for name, s in state.steps.items() if s.state == StepStatus.RUNNING]
        text = ", ".join(now[:3]) + (" ..." if len(now) > 3 else "")
        self._bar.update(self._task, completed=done, total=len(state.steps), description=text or state.pipeline)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def describe(event: Event, state: RunState) -> str | None:
    """One line on an event, or None if it is not worth one."""
    body: Any = event.body
    if event.kind == EventKind.RUN_CREATED:
        return f"run {event.run} of {state.pipeline}"
    if event.kind == EventKind.APPROVAL_ASKED:
        return f"  {body['step']}: asks: {body['question']}"
    if not event.kind.startswith("step."):
        return None
    item = body.get("item")
    if (
        # A map of thousands would scroll everything else away; the bar counts them, and failures are told.
        item is not None
        and (state.steps[body["step"]].count or 0) > _EVERY_ITEM_UP_TO
        and event.kind != EventKind.STEP_FAILED
    ):
        return None
    name = body["step"] if item is None else f"{body['step']}[{item}]"
    if event.kind == EventKind.STEP_SUCCEEDED and body.get("reason"):  # people have decided
        return f"  {name}: {body['reason']}"
    if event.kind == EventKind.STEP_SUCCEEDED:
        result = body.get("note") or ", ".join(artifact_text(a) for a in body["outputs"])
        return f"  {name}: succeeded in {show_seconds(body.get('seconds') or 0.0)}: {_written(body) or result}"
    if event.kind == EventKind.STEP_FAILED:
        again = body.get("retry_in")
        after = "" if again is None else f"; attempt {body['attempt'] + 1} in {show_seconds(again)}"
        return f"  {name}: failed: {headline(body['error'])}{after}"
    if event.kind in (EventKind.STEP_SKIPPED, EventKind.STEP_CACHED, EventKind.STEP_INVALIDATED):
        return f"  {name}: {event.kind.removeprefix('step.')}: {body['reason']}"
    if event.kind == EventKind.STEP_CACHE_MISSED:
        return f"  {name}: not cached: {body['reason']}"
    if event.kind == EventKind.STEP_CANCELLED:
        return f"  {name}: cancelled"
    return f"  {name}: {counted(body['count'], 'item')}" if event.kind == EventKind.STEP_EXPANDED else None


def _written(body: dict[str, Any]) -> str | None:
    write = body.get("write")
    if not write:
        return None
    if write.get("dry"):
        return f"{counted(write['rows'], 'row')} for table {write['table']}, which a replay does not touch"
    if "version" not in write:
        return f"nothing to write; there is still no table {write['table']}"
    again = " (was written before)" if write.get("repeated") else ""
    return f"{counted(write['rows'], 'row')} into table {write['table']}, version {write['version']}{again}"
