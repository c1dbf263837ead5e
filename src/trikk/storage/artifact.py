"""The name and description of a stored value: small enough for an event, enough to plan and to show."""

from __future__ import annotations

from typing import Any

from msgspec import field

from trikk.core.digests import is_digest
from trikk.core.record import Record


class Artifact(Record, frozen=True):
    """A stored value, named by its content.

    Reading one raises RecordError if it is none, for instance if its digest could be a path.

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
    summary: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_digest(self.digest) or self.size < 0:
            raise ValueError("this is not a digest and size of an artifact")

    def __hash__(self) -> int:
        return hash((self.digest, self.codec))
