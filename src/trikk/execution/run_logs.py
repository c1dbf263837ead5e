"""Where the logs of a run's steps are, and their ends: as `trikk logs` and the server give them."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from trikk.core.errors import UnknownName, UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.run_state import RunState


def logs_document(
    project: Project, state: RunState, step: str | None = None, most: int | None = None
) -> dict[str, JSON]:
    """What the attempts of a run's steps have printed, or of one step; the last `most` bytes of each, or all.

    Beside each text is where in its log it begins and ends, in bytes; `log_from` reads on from there.
    """
    logs: list[JSON] = [
        {"step": label, "path": str(log), **_part(log, None, most)} for label, log in logs_of(project, state, step)
    ]
    return {"run": state.id, "logs": logs}


def log_from(project: Project, state: RunState, name: str, begin: int, most: int) -> dict[str, JSON]:
    """The document of one log, by the name of its file, from a byte on; at most so many bytes.

    Raises:
        UnknownName: if the run has no such log.
    """
    logs = {log.name: (label, log) for label, log in logs_of(project, state, None)}
    if name not in logs:
        raise UnknownName("log", name, logs)
    label, log = logs[name]
    return {"run": state.id, "logs": [{"step": label, "path": str(log), **_part(log, begin, most)}]}


def check_step(state: RunState, step: str) -> None:
    """Raise UnknownName or UsageError unless the run has that step, or item of a step: `fit`, `fit[3]`."""
    name, bracket, rest = step.partition("[")
    if name not in state.steps:
        raise UnknownName("step", name, state.steps)
    if bracket and rest not in {f"{i}]" for i in state.steps[name].items}:
        raise UsageError(
            f"step {name} has no item {step[len(name) :]}", next=f"it has {state.steps[name].count or 0}"
        )


def logs_of(project: Project, state: RunState, step: str | None) -> list[tuple[str, Path]]:
    """Every attempt's log in the order of steps, items and attempts, with a label."""
    folder = project.settings.state / "runs" / state.id
    logs = []
    for (name, item), task in state.tasks():
        label = name if item is None else f"{name}[{item}]"
        if step is not None and step not in (label, name):
            continue
        # A mapped step has no log of its own, only its items have.
        if state.steps[name].count is not None and item is None:
            continue
        middle = "" if item is None else f".{item}"
        for attempt in range(1, task.attempts + 1):
            shown = label if task.attempts == 1 else f"{label}, attempt {attempt}"
            logs.append((shown, folder / f"{name}{middle}.{attempt}.log"))
    return logs


def _part(log: Path, begin: int | None, most: int | None) -> dict[str, JSON]:
    """A part of a log: from a byte on, up to the last whole character of one that still grows; or its end."""
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = (0 if most is None else max(0, size - most)) if begin is None else min(begin, size)
            file.seek(first)
            data = file.read(-1 if most is None else most)
    except OSError:  # clean-up may have taken the file
        return {"text": "", "begins": 0, "ends": 0}
    # A program may print any bytes.
    text, count = codecs.utf_8_decode(data, "replace", begin is None)
    return {"text": text, "begins": first, "ends": first + count}
