"""Names made from content: BLAKE3, as fast as memory on one core, so that reading can always verify.

A digest is 64 hexadecimal characters, the default 256-bit output of BLAKE3
(https://github.com/BLAKE3-team/BLAKE3-specs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from trikk.core.values import JSON, canonical

DIGEST_LENGTH = 64
_DIGEST = re.compile(f"[0-9a-f]{{{DIGEST_LENGTH}}}")
_BUFFER = 1 << 17  # stays in a core's cache between reading and hashing, and costs a fresh process 32 page faults


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    """The digest of `data`, 64 hexadecimal characters."""
    from blake3 import blake3  # here, since `import trikk` loads no library

    return str(blake3(data).hexdigest())


def digest_parts(parts: Iterable[bytes]) -> str:
    """The digest of bytes that come in parts: that of all of them joined."""
    from blake3 import blake3

    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return str(hasher.hexdigest())


def short_digests(texts: Iterable[bytes], length: int) -> list[bytes]:
    """The first `length` bytes of the digest of each of many short texts."""
    from blake3 import blake3

    hasher = blake3()  # one for all: to make it takes three times as long as to hash a short text
    digests = []
    for text in texts:
        hasher.update(text)
        digests.append(hasher.digest(length))
        hasher.reset()
    return digests


def digest_file(path: Path) -> str:
    """The digest of a file's bytes, 64 hexadecimal characters; raises OSError if it can't be read."""
    if path.stat().st_size <= _BUFFER:
        return digest_bytes(path.read_bytes())
    from blake3 import blake3

    hasher = blake3()
    buffer = memoryview(bytearray(_BUFFER))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
    return str(hasher.hexdigest())


def digest_json(value: JSON) -> str:
    """The digest of a JSON value, the same whatever the order of its keys."""
    return digest_bytes(canonical(value))


def is_digest(text: str) -> bool:
    """Whether `text` has the form of a digest; anything else must never become part of a path."""
    return _DIGEST.fullmatch(text) is not None
