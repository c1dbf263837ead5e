"""The project's code as a server knows it: described once, and read again when its files change.

The code is imported by a process of its own that describes the pipelines and triggers, and ends: nothing of an
author's is in the server, and nothing has to be replaced there. Code that does not load changes nothing but what
`trouble` says: what was last described goes on to count.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.clock import Clock
from trikk.core.errors import ProjectError, TrikkError
from trikk.core.settings import Settings, load_settings
from trikk.execution.workers.process_executor import ProcessExecutor
from trikk.runs.bundle import bundle_digest, manifest, source_files
from trikk.triggers.declared import Declared, project_triggers

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph

_EVERY = 2.0
_SETTLES = 1.0
_SHARE = 0.003  # of a core, at most, that looking at a large project's files may take
_AGAIN = 60.0
_READINGS = 3
IMPORTS_WITHIN = 100.0
"""Seconds that the project's modules may take to be imported: one that waits for something may wait for ever."""


@dataclass(frozen=True, slots=True)
class CodeSet:
    """What one version of the code declares.

    Attributes:
        release: the digest of its files; "" if none was ever loaded.
        settings: what its trikk.toml says.
        graphs: its pipelines by name.
        triggers: its triggers by name.
    """

    release: str
    settings: Settings
    graphs: Mapping[str, Graph] = field(default_factory=dict)
    triggers: Mapping[str, Declared] = field(default_factory=dict)


class ServedCode:
    """The code of a project, kept up with its files.

    Args:
        settings: the project's, as they are now.
        clock: the time.
        on_change: is called, by whoever calls `read` or `turn`, when `current` or `trouble` is another.

    Attributes:
        current: the last version that could be loaded.
        trouble: why the version that is there now can't be; None if it could.
    """

    name = "code"

    def __init__(self, settings: Settings, clock: Clock, on_change: Callable[[], None] = lambda: None) -> None:
        self.current = CodeSet("", settings)
        self.trouble: TrikkError | None = None
        self._root = settings.root
        self._clock = clock
        self._on_change = on_change
        self._loaded = ""  # stamps of the files: as they were last read, and as they were seen to change
        self._changing = ""
        self._read_at = 0.0

    def read(self) -> None:
        """Read the code as it is now, whether or not it has changed."""
        before = (self.current.release, self.trouble and self.trouble.to_json())
        self._loaded = self._changing = stamp(self._root, self.current.settings.code)
        try:
            self.current, self.trouble = self._described(), None
        except TrikkError as error:
            self.trouble = error
        self._read_at = self._clock.monotonic()
        if before != (self.current.release, self.trouble and self.trouble.to_json()):
            self._on_change()

    def turn(self, now: float) -> float:  # noqa: ARG002 - how long ago something was is told by another clock
        """Read the code if its files have changed and are at rest; seconds until the next look."""
        began = time.thread_time()
        seen = stamp(self._root, self.current.settings.code)
        cost = time.thread_time() - began
        is_again = self.trouble is not None and self._clock.monotonic() >= self._read_at + _AGAIN
        if (seen != self._loaded and seen == self._changing) or is_again:
            # Only now that nothing has changed since the last look: a checkout writes file after file.
            self.read()
        elif seen != self._loaded:
            self._changing = seen
            return _SETTLES
        return max(_EVERY, cost / _SHARE)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _described(self) -> CodeSet:
        """What the code declares that is there now; TrikkError if it can't be loaded."""
        for _ in range(_READINGS):
            settings = load_settings(self._root)
            release = bundle_digest(manifest(self._root, settings.code))
            with closing(ProcessExecutor(settings)) as executor:
                self._await_import(executor)
                triggers = project_triggers(executor, settings)
                described = CodeSet(release, settings, executor.graphs(), triggers)
            # What was imported is what was digested, if the files are the same afterwards.
            if bundle_digest(manifest(self._root, settings.code)) == release:
                return described
        raise _changing()

    def _await_import(self, executor: ProcessExecutor) -> None:
        """Wait until the code is imported; ProjectError if it hangs, or is mended while it does."""
        until = self._clock.monotonic() + IMPORTS_WITHIN
        while not executor.has_imported(_EVERY):
            if stamp(self._root, self.current.settings.code) != self._loaded:
                raise _changing()
            if self._clock.monotonic() >= until:
                raise ProjectError(
                    f"the project's modules are not imported within {IMPORTS_WITHIN:.0f} s",
                    where=str(self._root),
                    next="look what they wait for while they are imported, and leave that to a step",
                )


def _changing() -> ProjectError:
    return ProjectError("the code changes while it is read", next="it is read again when its files are at rest")


def stamp(root: Path, patterns: tuple[str, ...]) -> str:
    """What changes when a code file does: a digest of the files' names, sizes and times, none of them read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        for path in source_files(root, patterns):
            status = path.stat()
            digest.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\0{status.st_ino}\0".encode())
    except OSError:  # gone between the listing and the look: the next one sees it gone
        return ""
    return digest.hexdigest()
