"""Whole commands, as a user starts them: what they cost, in a folder that is empty each time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import process
from benchmarks.places import BIN, FLOWS, LOGS
from benchmarks.samples import Sample


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    Attributes:
        argv: program and arguments.
        folder: named to it by the variable BENCH_WORK, which also marks its processes.
        env: added to the bare environment that every process gets.
        cwd: where it runs, if not in the folder.
    """

    argv: Sequence[str]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    def start(self, *, kill_when: tuple[Path, str] | None = None, watch_memory: bool = False) -> process.Ended:
        """Run it, however it ends; the options are those of `benchmarks.process.run`."""
        environ = process.environment(self.folder, Path(os.environ["HOME"]), **self.env)
        where = self.cwd or self.folder
        return process.run(self.argv, where, environ, self.log, kill_when=kill_when, watch_memory=watch_memory)

    def run(self) -> Sample:
        """Run it: what it cost. RuntimeError with the end of its output when it fails."""
        ended = self.start()
        if ended.code:
            said = self.log.read_text(errors="replace").strip()[-600:]
            raise RuntimeError(f"{' '.join(self.argv)[:200]} ended with {ended.code}: {said}")
        return Sample(ended.seconds, ended.cpu, ended.peak)

    @property
    def log(self) -> Path:
        """Where its output goes: not into its folder, whose bytes may be counted."""
        own = own_folder()
        return LOGS / f"{own.parent.name}-{own.name}-command.txt"


def trikk_command(folder: Path, *arguments: str, **env: str) -> Command:
    """`trikk ARGUMENTS` of the build that is measured, in a project."""
    return Command([str(BIN / "trikk"), *arguments], folder, {"PYTHONPATH": os.environ["BENCH_SOURCE"], **env})


def trikk(folder: Path, *arguments: str, **env: str) -> Sample:
    """Run it; see `Command.run`. Several commands' costs add up with `+`."""
    return trikk_command(folder, *arguments, **env).run()


def python_command(folder: Path, *arguments: str, **env: str) -> Command:
    """A script of `benchmarks/flows` with its arguments, or a module's code after `-c`, in trikk's environment."""
    script = arguments[:1] if arguments[0].startswith("-") else [str(FLOWS / arguments[0])]
    return Command([str(BIN / "python"), *script, *arguments[1:]], folder, env)


def python(folder: Path, *arguments: str, **env: str) -> Sample:
    """Run it; see `Command.run`."""
    return python_command(folder, *arguments, **env).run()


def own_folder() -> Path:
    """The folder of this way; it goes when the measurement is over."""
    return Path(os.environ[process.MARK])


def fresh(name: str = "run") -> Path:
    """An empty folder in it."""
    folder = own_folder() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def result(folder: Path) -> str:
    """What the last step of a workload left (`flows/workload.py`); FileNotFoundError if it never ran."""
    return (folder / "result.txt").read_text()


def kept(folder: Path) -> float:
    """Megabytes of all files below a folder, links not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6
