"""Names of objects in a bucket: addresses taken apart, patterns matched. Pure."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from trikk.core.errors import UsageError
from trikk.core.network.addresses import refuse_secrets

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Location:
    """What an s3:// address names.

    Attributes:
        bucket: the bucket.
        key: one object's key, a folder (ends with / or is empty), or a pattern.
    """

    bucket: str
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether the key has one of `*`, `?` and `[`."""
        return _MAGIC.search(self.key) is not None

    @property
    def is_folder(self) -> bool:
        """Whether everything under the key is meant."""
        return not self.is_pattern and (not self.key or self.key.endswith("/"))

    @property
    def prefix(self) -> str:
        """The folders that come before the first pattern: what to list."""
        plain = _MAGIC.split(self.key, maxsplit=1)[0]
        return plain.rpartition("/")[0]

    def matches(self, key: str) -> bool:
        """Whether an object's key is meant; in folders, names that begin with `_` or `.` are not."""
        if key.endswith("/"):
            return False
        if self.is_pattern:
            return re.fullmatch(_regex(self.key), key) is not None
        if not self.is_folder:
            return key == self.key
        inside = key[len(self.key) :].split("/")
        return key.startswith(self.key) and not any(part.startswith(("_", ".")) for part in inside)


def locate(uri: str) -> Location:
    """Take an address apart: s3://bucket/key, s3://bucket/folder/ or s3://bucket/folder/*.csv.

    Raises:
        UsageError: if it is none, or holds keys.
    """
    refuse_secrets(uri, "the address")
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        shown = bucket if "@" not in bucket and ":" not in bucket else "..."
        raise UsageError(f"{scheme[:20]}://{shown[:80]} names no bucket", next="use s3://bucket/key")
    if "//" in key or any(part in (".", "..") for part in key.split("/")):
        raise UsageError(f"{uri!r} has an empty part, or . or .. in it", next="write the object's key as it is")
    return Location(bucket, key)


@functools.cache
def _regex(pattern: str) -> str:
    """`*` and `?` stay in a folder, `**/` is any depth, `[...]` one of these characters, `[!...]` none of them."""
    parts, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        end = pattern.find("]", at + 2)
        if pattern.startswith("**/", at):
            parts.append("(?:[^/]+/)*")
            at += 3
            continue
        if pattern.startswith("**", at):
            parts.append(".*")
            at += 2
            continue
        if char == "[" and end > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            inside = "^/" + inside[1:] if inside.startswith("!") else inside.replace("^", "\\^")
            parts.append(f"[{inside}]")
            at = end + 1
            continue
        parts.append({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)))
        at += 1
    return "".join(parts)
