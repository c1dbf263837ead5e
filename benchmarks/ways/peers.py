"""Luigi, Kedro, Metaflow, Prefect and Dagster, each in an environment of its own, as its users start it.

Settings that favour a peer where its default would do worse are said in docs/benchmarks.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from benchmarks import environments
from benchmarks.places import BIN, FLOWS, HOMES
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import Command, fresh, kept, result
from benchmarks.ways.steps import STOPS, second_try

CATALOG = '"{default}":\n  type: pickle.PickleDataset\n  filepath: data/06_models/{default}.pkl\n'
REGISTRY = "from kedro_pipelines import register_pipelines\n\n__all__ = ['register_pipelines']\n"


class Peer:
    """One tool. Subclasses say how a case is started and how it is resumed."""

    name = ""

    def __init__(self) -> None:
        self.home = HOMES / self.name
        self.bin = environments.python_of(self.name).parent

    def set_up(self) -> None:
        """What has to be there before its first run."""
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self, folder: Path, program: str, *arguments: str) -> Command:
        """A program of its environment, run in the measurement's folder."""
        path = f"{self.bin}:{BIN}:/usr/local/bin:/usr/bin:/bin"
        env = {"PYTHONPATH": str(FLOWS), "PATH": path, "HOME": str(self.home), **self.variables(folder)}
        return Command([str(self.bin / program), *arguments], folder, env)

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - for subclasses
        """Its own environment variables."""
        return {}

    def kept(self, folder: Path) -> Path:
        """Where it keeps results."""
        return folder

    def start(self, folder: Path, case: str) -> Command:
        """The command that a user runs."""
        raise NotImplementedError

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - for subclasses
        """The command that a user runs after step `failed` failed: the same one, for many tools."""
        return self.start(folder, "resume")


class Luigi(Peer):
    """One worker, which runs tasks in its own process; two, forked, where steps can go in parallel."""

    name = "luigi"
    tasks: ClassVar = {
        "one": ("Chain", "--number", "1", "--end", "1"),
        "chain": ("Chain", "--number", "50", "--end", "50"),
        "fan": ("Fan", "--workers", "2"),
        "pandas": ("Consumed",),
        "resume": ("Delicate", "--number", "10"),
    }

    def start(self, folder: Path, case: str) -> Command:
        return self.command(folder, "luigi", "--module", "luigi_flow", *self.tasks[case], "--local-scheduler")


class Kedro(Peer):
    """The sequential runner, every dataset a pickle (in memory by default, which nothing could resume)."""

    name = "kedro"

    def set_up(self) -> None:
        """Make the project that measurements copy."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        wanted = ("new", "-n", "bench", "--tools=none", "--example=n", "--telemetry=no")
        self.command(self.home, "kedro", *wanted).run()
        project = self.home / "bench"
        next(project.glob("src/*/pipeline_registry.py")).write_text(REGISTRY)
        (project / "conf" / "base" / "catalog.yml").write_text(CATALOG)

    def kept(self, folder: Path) -> Path:
        return folder / "bench" / "data"

    def start(self, folder: Path, case: str) -> Command:
        if not (folder / "bench").exists():
            shutil.copytree(self.home / "bench", folder / "bench")
        return self._run(folder, "--pipeline", case)

    def resume(self, folder: Path, failed: int) -> Command:
        """What the failure's message proposes; after a kill the user has to find the step himself."""
        return self._run(folder, "--pipeline", "resume", "--from-nodes", f"delicate{failed}")

    def _run(self, folder: Path, *arguments: str) -> Command:
        plain = self.command(folder, "kedro", "run", *arguments)
        return Command(plain.argv, folder, plain.env, folder / "bench")


class Metaflow(Peer):
    """A process for each step. A step is a method, so the flows are written by a script."""

    name = "metaflow"

    def set_up(self) -> None:
        super().set_up()
        self.command(self.home, "python", str(FLOWS / "metaflow_make.py"), str(self.home)).run()

    def variables(self, folder: Path) -> dict[str, str]:
        """Keep everything in the folder."""
        return {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_HOME": str(folder / "conf")}

    def start(self, folder: Path, case: str) -> Command:
        return self.command(folder, "python", str(self.home / f"{case}.py"), "run")

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - it finds the step itself
        return self.command(folder, "python", str(self.home / "resume.py"), "resume")


class Prefect(Peer):
    """As `python flow.py` does it, with the temporary server that each such process starts."""

    name = "prefect"

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - one home for all
        """Its database outlives a measurement, so that no figure has the making of it."""
        return {"PREFECT_HOME": str(self.home)}

    def kept(self, folder: Path) -> Path:  # noqa: ARG002 - one home for all
        return self.home

    def start(self, folder: Path, case: str) -> Command:
        return self.command(folder, "python", str(FLOWS / "prefect_flow.py"), case)


class Dagster(Peer):
    """`dagster job execute`, with the default executor: a fresh process for each step."""

    name = "dagster"
    suffix = ""

    def set_up(self) -> None:
        """Its telemetry is turned off by a file; the environment variable only stops the upload."""
        super().set_up()
        (self.home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - one home for all
        """Where its instance is; nothing is kept without it."""
        return {"DAGSTER_HOME": str(self.home)}

    def kept(self, folder: Path) -> Path:  # noqa: ARG002 - one home for all
        return self.home

    def start(self, folder: Path, case: str) -> Command:
        file = str(FLOWS / "dagster_flow.py")
        return self.command(folder, "dagster", "job", "execute", "-f", file, "-j", case + self.suffix)

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - it finds the step itself
        """A few lines of Python: there is no command."""
        return self.command(folder, "python", str(FLOWS / "dagster_flow.py"))


class DagsterInProcess(Dagster):
    """All steps in one process, results kept all the same."""

    suffix = "_in_process"


PEERS: dict[str, type[Peer]] = {
    "luigi": Luigi,
    "kedro": Kedro,
    "metaflow": Metaflow,
    "prefect": Prefect,
    "dagster": Dagster,
    "dagster, one process": DagsterInProcess,
}


def run(size: int, case: str, name: str) -> Callable[[], Sample]:
    """A case as the peer's users start it.

    Raises:
        Unavailable: its environment can't be made.
    """
    trouble = environments.make(PEERS[name].name)
    if trouble is not None:
        raise Unavailable(trouble)
    peer = PEERS[name]()
    peer.set_up()

    def once() -> Sample:
        folder = fresh()
        if case in STOPS:
            first = peer.start(folder, "resume")
            return second_try(case, size, first, peer.resume(folder, STOPS[case]))
        before, command = kept(peer.kept(folder)), peer.start(folder, case)
        cost = command.run()
        return cost.telling(result(folder), kept_MB=kept(peer.kept(folder)) - before)

    if case != "one":
        peer.start(fresh(), "one").run()  # uncounted: databases are made, bytecode is compiled
    return once


def start(size: int, code: str, name: str) -> Callable[[], Sample]:  # noqa: ARG001 - every way gets a size
    """Its import (`python`), or its command's help."""
    trouble = environments.make(PEERS[name].name)
    if trouble is not None:
        raise Unavailable(trouble)
    peer = PEERS[name]()
    argv = ("python", "-c", code) if code.startswith("import") else (peer.name, "--help")
    return lambda: peer.command(fresh(), *argv).run()
