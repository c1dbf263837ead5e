"""The floor: what the same work costs without any tool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.cases import RESULTS
from benchmarks.jobs import Command, Entry, Job
from benchmarks.places import BIN, FLOWS

PYTHON = str(BIN / "python")
STEPWISE = {
    "plain": "floor: plain calls",
    "durable": "floor: pickle + fsync + rename",
    "fork": "floor: fork",
    "fork-durable": "floor: fork + fsync",
    "spawn": "floor: python -c",
    "spawn-pandas": "floor: python -c 'import pandas'",
}
FRAMEWISE = {
    "memory": "floor: in memory",
    "arrow": "floor: raw Arrow IPC",
    "arrow-sync": "floor: raw Arrow IPC + fsync",
    "parquet": "floor: raw Parquet",
    "parquet-sync": "floor: raw Parquet + fsync",
}
WAYS: dict[str, dict[str, str]] = {
    "one": STEPWISE,
    "chain50": STEPWISE,
    "fan50": {way: STEPWISE[way] for way in ("plain", "durable", "fork", "fork-durable")},
    "chain2000": {way: STEPWISE[way] for way in ("plain", "durable", "fork", "fork-durable")},
    "frame": FRAMEWISE,
    "frame_pandas": {**FRAMEWISE, "pickle": "floor: pickle"},
    "resume10": {way: STEPWISE[way] for way in ("durable", "fork-durable")},
    "kill10": {way: STEPWISE[way] for way in ("durable", "fork-durable")},
}
SLOW = {("spawn-pandas", "chain50")}


def resumable(command: Command, case: str, folder: Path, again: Callable[[], Command]) -> Job:
    """The job of `resume10` or `kill10` for a tool that keeps its state in `folder`."""
    (folder / ("fail" if case == "resume10" else "hang")).touch()
    return Job(command, expect=RESULTS[case], stored=folder, again=again, kill_at=5 if case == "kill10" else None)


class Floor:
    """Plain functions, forks, fresh interpreters and raw files."""

    name = "floor"

    def ready(self) -> str | None:
        """Nothing is needed."""
        return None

    def versions(self) -> dict[str, str]:
        """The floor has none of its own."""
        return {}

    def entries(self, case: str) -> list[Entry]:
        """A line for each way of doing without a tool."""
        if case in ("import", "help"):
            return [Entry("floor: python -c pass", self._nothing)]
        return [
            Entry(label, partial(self._job, way, case), runs=1 if (way, case) in SLOW else None)
            for way, label in WAYS.get(case, {}).items()
        ]

    def _nothing(self, folder: Path) -> Job:
        return Job(Command([PYTHON, "-c", "pass"], folder))

    def _job(self, way: str, case: str, folder: Path) -> Job:
        command = Command([PYTHON, str(FLOWS / "floor_flow.py"), way, case], folder)
        if case in ("resume10", "kill10"):
            return resumable(command, case, folder, lambda: command)
        return Job(command, expect=RESULTS[case], stored=folder)
