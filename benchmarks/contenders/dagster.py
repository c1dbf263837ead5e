"""Dagster: `dagster job execute`, with the default executor (a process for each step) and within one process."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.peer import COMMON, Peer
from benchmarks.jobs import Command
from benchmarks.places import FLOWS

FILE = str(FLOWS / "dagster_flow.py")


class Dagster(Peer):
    """The default: a fresh process for every step. Fifty steps take a minute, so those run once."""

    name = "dagster"
    label = "dagster (process a step, default)"
    module = "dagster"
    packages = ("dagster",)
    slow: tuple[str, ...] = ("chain50", "fan50")
    suffix = ""

    def set_up(self) -> str | None:
        """Its telemetry is turned off by a file; the environment variable only stops the upload."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        return None

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - one home for all
        """Where its instance is; nothing is kept without it."""
        return {"DAGSTER_HOME": str(self.home)}

    def kept(self, folder: Path) -> Path:  # noqa: ARG002 - one home for all
        """Its home."""
        return self.home

    def start(self, folder: Path, case: str) -> Command:
        """`dagster job execute`."""
        return self.command(folder, "dagster", "job", "execute", "-f", FILE, "-j", case + self.suffix)

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - it finds the step itself
        """A few lines of Python: there is no command."""
        return self.command(folder, "python", FILE)


class DagsterInProcess(Dagster):
    """All steps in one process, results kept all the same."""

    label = "dagster (one process)"
    module = ""
    slow = ()
    suffix = "_in_process"
    cases = tuple(case for case in COMMON if case not in ("resume10", "kill10"))
