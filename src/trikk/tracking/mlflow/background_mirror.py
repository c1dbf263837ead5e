"""Mirroring after a command has ended: a process of its own, with low priority, for which nobody waits."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.errors import StorageError, TrikkError
from trikk.storage.stores.locks import file_lock

if TYPE_CHECKING:
    from trikk.execution.project import Project

_ATTEMPTS = 6  # with pauses of 1 to 16 seconds between
_NICE = 10


@contextlib.contextmanager
def mirroring(project: Project) -> Iterator[None]:
    """Afterwards, have runs copied to the tracking server that trikk.toml names, in the background."""
    try:
        yield
    finally:
        mirror_later(project)


def mirror_later(project: Project) -> None:
    """Start a process that mirrors what is over, if trikk.toml names a server; it can't fail whoever calls this.

    What it says goes to `.trikk/mirror/log`. What it can't do, the next call or `trikk mirror mlflow` does.
    """
    if not project.settings.mlflow:
        return
    with contextlib.suppress(OSError, TrikkError):
        folder = project.state_dir / "mirror"
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("wb") as log:
            subprocess.Popen(
                [sys.executable, "-m", "trikk.tracking.mlflow.background_mirror", str(project.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the command, not for the copy.
                start_new_session=True,
            )


def main() -> None:
    """`python -m (this module) ROOT`: wait for a turn, and mirror; one process waits, not more."""
    from trikk.execution.project import Project

    os.nice(_NICE)
    project = Project.open(Path(sys.argv[1]))
    folder = project.state_dir / "mirror"
    try:
        # A lock of files, not a claim: it is about this machine's processes, and is free when they die.
        with file_lock(folder / "waiting.lock", timeout=0.0), file_lock(folder / "working.lock"):
            pass
    except StorageError:
        return  # somebody waits already, and will find this run, too
    from trikk.tracking.mlflow.mirror import Mirror
    from trikk.tracking.mlflow.target import MlflowTarget

    try:
        with file_lock(folder / "working.lock"):
            uri = project.settings.tracking_server
            done = Mirror(project, uri, MlflowTarget(uri, project.artifacts), attempts=_ATTEMPTS).copy()
    except TrikkError as error:
        print(error)  # noqa: T201 - this is the log
        return
    print(done.to_json())  # noqa: T201


if __name__ == "__main__":
    main()
