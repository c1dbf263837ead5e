"""Where the logs of a run's steps are, and their ends: as `trikk logs` and the server give them."""

from __future__ import annotations

import os
from pathlib import Path

from trikk.core.errors import UnknownName, UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.run_state import RunState


def logs_document(
    project: Project, state: RunState, step: str | None = None, most: int | None = None
) -> dict[str, JSON]:
    """What the attempts of a run's steps have printed, or of one step; the last `most` bytes of each, or all."""
    logs: list[JSON] = [
        {"step": label, "path": str(log), "text": _end_of(log, most)}
        for label, log in logs_of(project, state, step)
    ]
    return {"run": state.id, "logs": logs}


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


def _end_of(log: Path, most: int | None) -> str:
    try:
        with log.open("rb") as file:
            if most is not None:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            # A program may print any bytes; clean-up may have taken the file.
            return file.read().decode(errors="replace")
    except OSError:
        return ""
