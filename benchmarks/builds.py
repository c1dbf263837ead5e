"""Builds of trikk to measure: copies of its source, so that an edit meanwhile does not mix two versions."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import REPOSITORY, WORK

REQUIREMENTS = "requirements/dev.txt"


class NoBuild(Exception):
    """There is no such build, for the reason in the text."""


@dataclass(frozen=True, slots=True)
class Build:
    """A source of trikk.

    Attributes:
        name: what people call it: a commit, with `-dirty` where the tree has further changes.
        source: the folder that goes onto PYTHONPATH.
        requirements: the text of its locked packages; None where that is not there.
    """

    name: str
    source: Path
    requirements: str | None


def working_tree() -> Build:
    """The source as it is now."""
    name = _git("describe", "--always", "--dirty", "--exclude", "*") or "unknown"
    return _copied(name, REPOSITORY, WORK / "builds" / "new")


def earlier(wanted: str | None) -> Build:
    """The build to compare with.

    Args:
        wanted: a commit, or a folder that holds a `src`; None for the last landed build: where this branch left
            main, or, if nothing has changed since, the commit before.

    Raises:
        NoBuild: for neither a commit nor such a folder.
    """
    folder = WORK / "builds" / "old"
    if wanted is not None and Path(wanted, "src", "trikk").is_dir():
        return _copied(wanted, Path(wanted).resolve(), folder)
    commit = last_landed() if wanted is None else wanted
    name = _git("rev-parse", "--short", "--verify", "--quiet", f"{commit}^{{commit}}")
    if not name:
        raise NoBuild(f"{commit} is no commit here, nor a folder with src/trikk in it; name one with --against")
    archive = subprocess.run(["git", "archive", name, "src", REQUIREMENTS], cwd=REPOSITORY, capture_output=True)  # noqa: PLW1510
    if archive.returncode:
        raise NoBuild(f"git archive {name}: {archive.stderr.decode().strip()}")
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return _build(name, folder)


def last_landed() -> str:
    """The commit on main that the working tree's changes begin from; the one before when there are none."""
    base = _git("merge-base", "HEAD", "main") or _git("merge-base", "HEAD", "origin/main") or "HEAD"
    changed = base != _git("rev-parse", "HEAD") or _git("status", "--porcelain", "--", "src")
    return base if changed else f"{base}^"


def _copied(name: str, tree: Path, folder: Path) -> Build:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    if (tree / REQUIREMENTS).exists():
        (folder / REQUIREMENTS).parent.mkdir()
        shutil.copy(tree / REQUIREMENTS, folder / REQUIREMENTS)
    return _build(name, folder)


def _build(name: str, folder: Path) -> Build:
    """A build of what lies in a folder; compiled, so that the first command does not pay for it."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src"], cwd=folder, check=True)
    locked = folder / REQUIREMENTS
    return Build(name, folder / "src", locked.read_text() if locked.exists() else None)


def _git(*arguments: str) -> str:
    """What git says, or nothing where it has nothing to say."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
