"""Files of a folder that match a pattern. Their names come from outside, and so may what they are.

A symbolic link is never followed, neither to a file nor to a folder below the pattern's own: whoever may write
into an inbox could otherwise have a run read any file that the server may read. Pipes, devices and the like are
no files. Hidden names (`.part`, and what rsync and editors write while they are at it) count only for a pattern
that names them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trikk.core.errors import StorageError
from trikk.core.text import printable
from trikk.server.sources.files.arrived_files import FolderMissing, Listed
from trikk.storage.stores.object_names import Location

_DEEPEST = 32  # folders below the pattern's own


class FolderPlace:
    """The files that a pattern means.

    Args:
        root: the project's folder; what a pattern that is not absolute begins in.
        pattern: as `FileArrived` has it: `*` and `?` stay in a folder, `**/` is any depth.

    Attributes:
        label: what it is called.
        every: seconds between two looks.
        ignored: how many links of the last listing were left out, and the last of them.
    """

    every = 1.0

    def __init__(self, root: Path, pattern: str) -> None:
        path = PurePosixPath(pattern)
        base = "/" if path.is_absolute() else str(root)
        self.label = pattern
        self.ignored = (0, "")
        self._place = Location("", str(path).lstrip("/"))
        folder = self._place.prefix
        self._prefix = folder and f"{folder}/"
        self._folder = str(PurePosixPath(base, folder))
        below = self._place.key.removeprefix(self._prefix).split("/")
        self._hidden = any(part.startswith(".") for part in below)
        self._depth = _DEEPEST if "**" in self._place.key else len(below)
        self._links = (0, "")

    def list(self) -> list[Listed]:
        """All files that match.

        Raises:
            FolderMissing: if the folder is not there.
            StorageError: if it can't be read.
        """
        self._links = (0, "")
        try:
            listing = list(self._walk(self._folder, self._prefix, self._depth))
        except OSError as error:
            kind = FolderMissing if isinstance(error, FileNotFoundError) else StorageError
            raise kind(
                f"the folder {self._folder} can't be read: {error.strerror}",
                where=self.label,
                next="make it, mount it, or let the server read it",
            ) from None
        self.ignored = self._links
        return listing

    def path(self, name: str) -> str:
        """A file's path: within the project as the pattern is, or absolute as the pattern is."""
        return f"/{name}" if self.label.startswith("/") else name

    def _walk(self, folder: str, prefix: str, depth: int) -> Iterator[Listed]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") and not self._hidden:
                    continue
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if depth > 1:
                        yield from self._below(entry.path, f"{name}/", depth - 1)
                elif self._place.matches(name) and (file := self._file(entry, name)) is not None:
                    yield file

    def _below(self, folder: str, prefix: str, depth: int) -> Iterator[Listed]:
        try:
            yield from self._walk(folder, prefix, depth)
        except (FileNotFoundError, NotADirectoryError):
            return  # it was removed meanwhile

    def _file(self, entry: os.DirEntry[str], name: str) -> Listed | None:
        try:
            about = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None  # it was removed meanwhile
        if stat.S_ISREG(about.st_mode):
            return Listed(name, about.st_size, str(about.st_mtime_ns))
        if stat.S_ISLNK(about.st_mode):
            self._links = (self._links[0] + 1, f"{printable(name)} is a link, and links are not followed")
        return None
