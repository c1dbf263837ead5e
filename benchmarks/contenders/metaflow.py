"""Metaflow: a process for each step, its local datastore in the measurement's folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.contenders.peer import Peer
from benchmarks.jobs import Command
from benchmarks.places import FLOWS


class Metaflow(Peer):
    """Flows are written once into its home: a step is a method, so they are generated."""

    name = "metaflow"
    label = "metaflow"
    module = "metaflow"
    packages = ("metaflow",)

    def set_up(self) -> str | None:
        """Write the flow files."""
        self.home.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(self.bin / "python"), str(FLOWS / "metaflow_make.py"), str(self.home)], check=True)
        return None

    def variables(self, folder: Path) -> dict[str, str]:
        """Keep everything in the folder."""
        return {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_HOME": str(folder / "conf")}

    def start(self, folder: Path, case: str) -> Command:
        """`python FLOW.py run`."""
        return self.command(folder, "python", str(self.home / f"{case}.py"), "run")

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - it finds the step itself
        """`python FLOW.py resume`."""
        return self.command(folder, "python", str(self.home / "resume.py"), "resume")
