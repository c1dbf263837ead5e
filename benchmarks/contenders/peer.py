"""What the peers have in common: an environment of their own, pinned, and a home that outlives a measurement."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import environments
from benchmarks.cases import RESULTS
from benchmarks.contenders.floor import resumable
from benchmarks.jobs import Command, Entry, Job
from benchmarks.places import BIN, FLOWS, HOMES

COMMON = ("one", "chain50", "fan50", "frame_pandas", "resume10", "kill10")


class Peer:
    """One peer in one way of running it. Subclasses say how a case is started and how it is resumed."""

    name = ""
    label = ""
    module = ""
    cases: tuple[str, ...] = COMMON
    slow: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def ready(self) -> str | None:
        """Install it; the reason when that fails."""
        return environments.make(self.name) or self.set_up()

    def set_up(self) -> str | None:
        """What has to be made once before the first run."""
        return None

    def versions(self) -> dict[str, str]:
        """Versions of what was installed."""
        return environments.installed(self.name, (*self.packages, "pandas", "pyarrow"))

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return environments.python_of(self.name).parent

    @property
    def home(self) -> Path:
        """A folder that lives as long as the benchmarks do."""
        return HOMES / self.name

    def entries(self, case: str) -> list[Entry]:
        """Its one line, if it takes part in the case."""
        if case == "import" and self.module:
            code = ["-c", f"import {self.module}"]
            return [Entry(self.label, lambda folder: Job(self.command(folder, "python", *code)))]
        if case == "help" and self.module:
            return [Entry(self.label, lambda folder: Job(self.command(folder, self.name, "--help")))]
        if case not in self.cases:
            return []
        return [Entry(self.label, partial(self._job, case), runs=1 if case in self.slow else None)]

    def _job(self, case: str, folder: Path) -> Job:
        self.lay_out(folder)
        if case in ("resume10", "kill10"):
            again = partial(self.resume, folder, 8 if case == "resume10" else 5)
            return resumable(self.start(folder, "resume"), case, folder, again)
        return Job(self.start(folder, case), expect=RESULTS[case], stored=self.kept(folder))

    def command(self, folder: Path, program: str, *arguments: str) -> Command:
        """A program of its environment, run in the measurement's folder."""
        path = f"{self.bin}:{BIN}:/usr/local/bin:/usr/bin:/bin"
        env = {"PYTHONPATH": str(FLOWS), "PATH": path, **self.variables(folder)}
        return Command([str(self.bin / program), *arguments], folder, env)

    def variables(self, folder: Path) -> dict[str, str]:  # noqa: ARG002 - for subclasses
        """Its own environment variables."""
        return {}

    def lay_out(self, folder: Path) -> None:
        """What has to be in the folder before the clock starts."""

    def kept(self, folder: Path) -> Path:
        """Where it keeps results."""
        return folder

    def start(self, folder: Path, case: str) -> Command:
        """The command that a user runs."""
        raise NotImplementedError

    def resume(self, folder: Path, failed: int) -> Command:  # noqa: ARG002 - for subclasses
        """The command that a user runs after step `failed` failed: the same one, for many tools."""
        return self.start(folder, "resume")
