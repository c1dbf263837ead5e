"""Prefect: as `python flow.py` does it, with the temporary server that each such process starts."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.peer import Peer
from benchmarks.jobs import Command
from benchmarks.places import FLOWS


class Prefect(Peer):
    """Its database outlives a measurement, so that no figure has the making of it."""

    name = "prefect"
    label = "prefect (temporary server)"
    module = "prefect"
    packages = ("prefect", "fastapi")

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - one home for all
        """Where it keeps its database and results."""
        return {"PREFECT_HOME": str(self.home)}

    def kept(self, folder: Path) -> Path:  # noqa: ARG002 - one home for all
        """Its home."""
        self.home.mkdir(parents=True, exist_ok=True)
        return self.home

    def start(self, folder: Path, case: str) -> Command:
        """`python prefect_flow.py CASE`."""
        return self.command(folder, "python", str(FLOWS / "prefect_flow.py"), case)
