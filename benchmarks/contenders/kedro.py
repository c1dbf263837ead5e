"""Kedro: the sequential runner, every dataset a pickle (in memory by default, which nothing could resume)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.contenders.peer import Peer
from benchmarks.jobs import Command
from benchmarks.process import QUIET

CATALOG = '"{default}":\n  type: pickle.PickleDataset\n  filepath: data/06_models/{default}.pkl\n'
REGISTRY = "from kedro_pipelines import register_pipelines\n\n__all__ = ['register_pipelines']\n"


class Kedro(Peer):
    """A project is made once and copied for each measurement."""

    name = "kedro"
    label = "kedro"
    module = "kedro.pipeline"
    packages = ("kedro", "kedro-datasets")

    def set_up(self) -> str | None:
        """Make the project that measurements copy."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        make = self.command(
            self.home, "kedro", "new", "-n", "bench", "--tools=none", "--example=n", "--telemetry=no"
        )
        created = subprocess.run(
            make.argv,
            cwd=self.home,
            env={**QUIET, **make.env, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if created.returncode != 0:
            return f"kedro new: {created.stderr.strip()[-200:]}"
        project = self.home / "bench"
        next(project.glob("src/*/pipeline_registry.py")).write_text(REGISTRY)
        (project / "conf" / "base" / "catalog.yml").write_text(CATALOG)
        return None

    def lay_out(self, folder: Path) -> None:
        """A fresh copy of the project."""
        shutil.copytree(self.home / "bench", folder / "bench")

    def kept(self, folder: Path) -> Path:
        """The project's data."""
        return folder / "bench" / "data"

    def start(self, folder: Path, case: str) -> Command:
        """`kedro run` in the project."""
        return self._run(folder, "--pipeline", case)

    def resume(self, folder: Path, failed: int) -> Command:
        """What the failure's message proposes; after a kill the user has to find the step himself."""
        return self._run(folder, "--pipeline", "resume", "--from-nodes", f"delicate{failed}")

    def _run(self, folder: Path, *arguments: str) -> Command:
        plain = self.command(folder, "kedro", "run", *arguments)
        return Command(plain.argv, folder / "bench", plain.env)
