"""The `trikk` command as a user runs it: a real process in a project's folder, and how it ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECTS = Path(__file__).parent
WAIT = 150.0  # seconds; only a failure waits so long, and a busy machine is none


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def error(self) -> dict[str, str]:
        """The error of a command that was given --json."""
        document = self.json
        assert list(document) == ["error"], document
        found: dict[str, str] = document["error"]
        assert set(found) == {"code", "what", "where", "next"}
        return found


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


class Folder:
    """A project's folder and the command in it.

    Attributes:
        root: the folder.
        python: what the command begins with: an interpreter, or what starts one elsewhere.
    """

    def __init__(self, root: Path, python: Sequence[str] = (sys.executable,)) -> None:
        self.root = root
        self.python = python

    def write(self, **files: str) -> None:
        """Write files; `pipelines="..."` writes pipelines.py, `trikk="..."` writes trikk.toml."""
        for name, text in files.items():
            (self.root / ("trikk.toml" if name == "trikk" else f"{name}.py")).write_text(text)

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start the command in a session of its own."""
        return subprocess.Popen(
            [*self.python, "-m", "trikk.cli.main", *arguments],
            cwd=cwd or self.root,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str], timeout: float = WAIT) -> Done:
        """Wait for a started command; no stack trace may have come from it."""
        out, err = process.communicate(timeout=timeout)
        for line in (out + err).splitlines():
            assert not line.startswith("Traceback"), out + err
        return Done(process.returncode, out, err)

    def trikk(self, *arguments: str, cwd: Path | None = None, timeout: float = WAIT, **variables: str) -> Done:
        """Run the command to its end."""
        return self.end(self.start(*arguments, cwd=cwd, **variables), timeout)

    def good(self, *arguments: str) -> Any:
        """Run the command with --json, which must succeed; its document."""
        done = self.trikk(*arguments, "--json")
        assert done.code == 0, done
        return done.json

    def failed(self, *arguments: str, code: int = 1) -> Any:
        """Run the command with --json, which must exit with this code but print its document."""
        done = self.trikk(*arguments, "--json")
        assert done.code == code, done
        return done.json

    def refused(self, *arguments: str, code: int = 2) -> dict[str, str]:
        """Run the command, which must be refused, and the same with --json; its error."""
        done = self.trikk(*arguments, "--json")
        assert done.code == code, done
        assert done.err.startswith("error: "), done.err
        assert "\n  next: " in done.err, done.err
        error = done.error
        assert error["what"]
        assert error["next"]
        return error

    def lines(self, name: str) -> list[str]:
        """What steps have written into a file of the project."""
        try:
            return (self.root / name).read_text().splitlines()
        except FileNotFoundError:
            return []

    def touch(self, name: str) -> None:
        """Make an empty file."""
        (self.root / name).touch()


def make_folder(root: Path, project: str = "faulty_project") -> Folder:
    """A copy of one of the projects beside this file."""
    left_out = shutil.ignore_patterns("__pycache__", ".trikk")
    shutil.copytree(PROJECTS / project, root, ignore=left_out, dirs_exist_ok=True)
    return Folder(root)


def until(what: Callable[[], Any], seconds: float = WAIT) -> Any:
    """Wait until something is true; returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def steps_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A run's steps by name."""
    return {step["name"]: step for step in run["steps"]}


def states_of(run: dict[str, Any]) -> dict[str, str]:
    """The state of each step of a run."""
    return {step["name"]: step["state"] for step in run["steps"]}
