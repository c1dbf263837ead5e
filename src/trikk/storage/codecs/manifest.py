"""What a container or a folder is stored as: a JSON list of its children, each an artifact of its own."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from trikk.core.errors import RecordError, StorageError
from trikk.core.record import Record
from trikk.storage.artifact import Artifact


class Container(StrEnum):
    """What has children; its name is the artifact's codec, too."""

    LIST = "list"
    TUPLE = "tuple"
    DICT = "dict"
    FOLDER = "folder"


KINDS = tuple(kind.value for kind in Container)


class Manifest(Record, frozen=True):
    """The children of a container.

    Attributes:
        kind: what has them.
        keys: of a dict its keys, encoded (`trikk.core.values.encode`); of a folder the relative paths of its
            files; else empty.
        children: one artifact for each item, in order.
    """

    kind: Container
    keys: list[Any]
    children: list[Artifact]

    def __post_init__(self) -> None:
        if self.kind in (Container.DICT, Container.FOLDER) and len(self.keys) != len(self.children):
            raise ValueError("there are keys without children")
        if self.kind == Container.FOLDER:
            for key in self.keys:
                inner_path(key)

    def to_bytes(self) -> bytes:
        """The manifest as JSON, the same for equal children in the same order."""
        # Not by msgspec: these bytes are digested, and they were written by json from the first.
        return json.dumps(self.to_json(), separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The manifest that `to_bytes` wrote.

        Raises:
            StorageError: if it is none, or if a folder's path would lead out of the folder.
        """
        try:
            return cls.read(json.loads(data))
        except RecordError as error:
            raise StorageError(f"a stored manifest can't be read: {error.what}", next="update trikk") from error


def inner_path(name: object) -> str:
    """Return a folder entry's relative path if it stays inside the folder.

    Raises:
        StorageError: if it is absolute, empty, has a `..`, or is not in its simplest form.
    """
    if isinstance(name, str) and name and "\0" not in name:
        path = PurePosixPath(name)
        if not path.is_absolute() and ".." not in path.parts and str(path) == name and name != ".":
            return name
    raise StorageError(f"{str(name)[:80]!r} can't be a path inside a folder", next="rename the file")
