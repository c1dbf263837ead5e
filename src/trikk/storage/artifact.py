"""The name and description of a stored value: small enough for an event, enough to plan and to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.digests import is_digest
from trikk.core.errors import StorageError
from trikk.core.values import JSON


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored value, named by its content.

    Attributes:
        digest: the BLAKE3 digest (64 hexadecimal characters) of the stored bytes; for a container or a
            folder, those of its manifest, which names the children by their digests.
        codec: the name of the codec that wrote it, such as `arrow`, `json` or `pickle`.
        size: bytes, children included.
        summary: for people and for planning; always has `type`. A plain value of at most 4096 bytes of
            JSON has itself as `value`, in the form of `trikk.core.values.encode`; what has a length has
            `length`; a frame has `rows` and `columns` (name to type).
    """

    digest: str
    codec: str
    size: int
    summary: dict[str, JSON] = field(default_factory=dict)

    def to_json(self) -> dict[str, JSON]:
        """The artifact as a JSON object with the keys digest, codec, size and summary."""
        return {"digest": self.digest, "codec": self.codec, "size": self.size, "summary": self.summary}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | Any) -> Artifact:
        """The artifact that `to_json` wrote.

        Raises:
            StorageError: if it is none, for instance if its digest could be a path.
        """
        match data:
            case {"digest": str(digest), "codec": str(codec), "size": int(size), "summary": dict(summary)}:
                if is_digest(digest) and size >= 0:
                    return cls(digest, codec, size, summary)
        raise StorageError("this is no description of an artifact", next="look for a damaged event or manifest")

    def __hash__(self) -> int:
        return hash((self.digest, self.codec))
