"""Files and folders that a step made: stored by content, given back as private copies."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from trikk.core.errors import CodecError
from trikk.core.values import JSON
from trikk.storage.codecs.manifest import inner_path


class FileCodec:
    """A `pathlib.Path` that names a file.

    Args:
        into: the folder under which files are given back, each in a fresh folder of its own.
    """

    name = "file"
    suffix = ".file"

    def __init__(self, into: Path) -> None:
        self._into = into
        self._given: list[Path] = []

    def accepts(self, value: object) -> bool:
        """Whether it is a Path; folders are taken apart before codecs are asked."""
        return isinstance(value, Path)

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Copy the file; raises CodecError if there is none."""
        if not value.is_file():
            raise CodecError(
                f"there is no file {value}",
                next="write the file before the step returns its Path, or return str(path)",
            )
        shutil.copyfile(value, path)
        return {"type": "pathlib.Path", "name": value.name}

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The path of a private copy under the file's own name."""
        copy = self.fresh() / Path(inner_path(summary.get("name"))).name
        copy_out(path, copy)
        return copy

    def fresh(self) -> Path:
        """A new, empty, private folder."""
        self._into.mkdir(parents=True, exist_ok=True)
        self._given.append(Path(tempfile.mkdtemp(prefix="files-", dir=self._into)))
        return self._given[-1]

    def release(self) -> None:
        """Remove all folders that were given."""
        while self._given:
            shutil.rmtree(self._given.pop(), ignore_errors=True)

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first lines of a text, or nothing."""
        with path.open("rb") as file:
            start = file.read(200 * rows)
        if b"\0" in start:
            return None
        return list(start.decode(errors="replace").splitlines()[:rows])


def copy_out(stored: Path, target: Path) -> None:
    """Copy a stored file to a new place, writable by its owner."""
    shutil.copyfile(stored, target)
    target.chmod(0o644)


def files_of(folder: Path) -> list[str]:
    """The relative paths of all files of a folder, sorted, with `/`.

    Raises:
        CodecError: at a symbolic link or anything else that is neither a file nor a folder.
    """
    names: list[str] = []
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise CodecError(
                    f"{path} is neither a file nor a folder", next="copy what a link points to into the folder"
                )
        names += [Path(parent, name).relative_to(folder).as_posix() for name in files]
    return sorted(names)
