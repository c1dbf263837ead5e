"""What a container or a folder is stored as: a JSON list of its children, each an artifact of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from trikk.core.errors import StorageError
from trikk.core.values import JSON
from trikk.storage.artifact import Artifact

KINDS = ("list", "tuple", "dict", "folder")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The children of a container.

    Attributes:
        kind: `list`, `tuple`, `dict` or `folder`; it is the artifact's codec, too.
        keys: of a dict its keys, encoded (`trikk.core.values.encode`); of a folder the relative paths of its
            files; else empty.
        children: one artifact for each item, in order.
    """

    kind: str
    keys: Sequence[JSON]
    children: Sequence[Artifact]

    def to_bytes(self) -> bytes:
        """The manifest as JSON, the same for equal children in the same order."""
        data: dict[str, JSON] = {
            "kind": self.kind,
            "keys": list(self.keys),
            "children": [child.to_json() for child in self.children],
        }
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The manifest that `to_bytes` wrote.

        Raises:
            StorageError: if it is none, or if a folder's path would lead out of the folder.
        """
        match json.loads(data):
            case {"kind": str(kind), "keys": list(keys), "children": list(children)} if kind in KINDS:
                if kind in ("dict", "folder") and len(keys) != len(children):
                    raise StorageError("a stored manifest has keys without children")
                if kind == "folder":
                    keys = [inner_path(key) for key in keys]
                return cls(kind, keys, [Artifact.read(child) for child in children])
        raise StorageError("a stored manifest can't be read", next="update trikk")


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
