"""Requests with conditions (RFC 9110): what a client has already is not sent again, and a part of a file alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trikk.core.digests import digest_bytes
from trikk.web.refused import Refused

_TAGS = re.compile(r'(?:W/)?("[^"]*")')
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_LENGTH = 32  # characters of a digest: enough that no two documents share it


def tag_of(body: bytes) -> str:
    """The entity tag of a document."""
    return f'"{digest_bytes(body)[:_LENGTH]}"'


def has_it(tag: str, headers: Mapping[str, str]) -> bool:
    """Whether the client says that it has what has that tag."""
    known = headers.get("if-none-match", "")
    return known == "*" or tag in _TAGS.findall(known)


def range_of(size: int, headers: Mapping[str, str], tag: str) -> tuple[int, int] | None:
    """The part of a file of that many bytes that is wanted, its first byte and the one behind its last.

    None for the whole: without a range, of several, of one that can't be read (RFC 9110, 14.2: it is ignored), and
    if the client has the beginning of another file (`If-Range`).

    Raises:
        Refused: 416 if the file has no such part.
    """
    wanted = _RANGE.fullmatch(headers.get("range", ""))
    if wanted is None or wanted.group() == "bytes=-" or headers.get("if-range", tag) != tag:
        return None
    first, last = wanted.groups()
    if first and last and int(last) < int(first):
        return None
    begin = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if begin >= end:
        none = {"content-range": f"bytes */{size}"}
        raise Refused(416, f"it has {size} bytes, and none of these", next="ask for some of them", headers=none)
    return begin, end
