"""Whether the nodes of a cluster see what a project's steps need: its store, its tables and its journal.

Folders are told apart by a file in them, since a path may lead to another folder on another machine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from trikk.core.errors import ProjectError, UsageError
from trikk.core.network.addresses import refuse_secrets
from trikk.core.package import __version__
from trikk.core.settings import FILE, Settings
from trikk.execution.ray.ray_messages import NodeView, RunSetup
from trikk.runs.journals.lease import Holder

_KINDS = ("artifacts", "tables", "journal")
_SHARED = {
    "artifacts": 'give them a bucket, [storage] artifacts = "s3://...", or a folder that all nodes mount alike',
    "tables": 'give them a bucket, [storage] tables = "s3://...", or a folder that all nodes mount alike',
    "journal": 'give it a database, [storage] journal = "postgresql://...": trikk copy brings it there',
}


class Reach:
    """What a project has to be reached.

    Args:
        settings: the project.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._where = str(settings.root / FILE)
        self._marks: dict[str, Path] = {}

    def setup(self, code: str) -> RunSetup:
        """What a worker elsewhere is told; its marks stay until `close`.

        Args:
            code: digest of the run's code bundle.

        Raises:
            ProjectError: if a mark can't be written.
            UsageError: if an address holds a secret, which would travel with each call.
        """
        places: dict[str, str] = {}
        folders = {"project": self._settings.state}
        for kind in _KINDS:
            location = self._settings.location(kind)
            if "://" in location:
                places[kind] = getattr(self._settings, kind)
                refuse_secrets(places[kind], f"the address of {kind}", where=self._where)
            else:
                places[kind] = location
                folders[kind] = Path(location).parent if kind == "journal" else Path(location)
        if not self._marks:
            self._mark(folders)
        return RunSetup(
            code=code,
            root=str(self._settings.root),
            places=places,
            marks={kind: str(mark) for kind, mark in self._marks.items()},
            environment=self._settings.environment,
            log_limit=self._settings.log_limit,
            sink="",
        )

    def _mark(self, folders: dict[str, Path]) -> None:
        name = f".ray-{os.urandom(8).hex()}"
        for kind, folder in folders.items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._marks[kind] = folder / name
                self._marks[kind].touch()
            except OSError as error:
                raise ProjectError(
                    f"{folder} can't be written: {error.strerror}", next="check its permissions"
                ) from error

    def check(self, views: list[NodeView]) -> None:
        """Raise UsageError if a node does not see what it has to, or can't run the code; all nodes are named."""
        problems: dict[tuple[str, str], list[str]] = {}
        for view in views:
            for problem_and_mend in self._problems(view):
                problems.setdefault(problem_and_mend, []).append(view.name)
        for (problem, mend), names in problems.items():
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            of = f"node {shown}" if len(names) == 1 else f"{len(names)} nodes ({shown})"
            raise UsageError(f"{of} of the Ray cluster: {problem}", where=self._where, next=mend)

    def _problems(self, view: NodeView) -> Iterator[tuple[str, str]]:
        for kind in _KINDS:
            if kind in view.missing:
                yield (
                    f"the folder of the project's {kind}, {self._marks[kind].parent}, is not there",
                    _SHARED[kind],
                )
        if view.version and view.version != __version__:
            yield f"has trikk {view.version}, and this is {__version__}", "install the same version on both sides"
        if view.error is not None:
            mend = "install there what the project needs, trikk too, and set the variables that its addresses name"
            yield f"can't run the project's code: {view.error}", mend
        if "journal" in self._marks and view.boot and view.boot != Holder.current().boot:
            yield (
                "is another machine, and the journal is a file, which one machine alone may use",
                _SHARED["journal"],
            )

    def close(self) -> None:
        """Remove the marks."""
        for mark in self._marks.values():
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)
        self._marks.clear()
