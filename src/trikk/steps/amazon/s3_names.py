"""Names of objects in a bucket: templates filled in, patterns matched. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from trikk.core.errors import UsageError
from trikk.steps.amazon.credentials import refuse_keys

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")
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


def check_holes(uri: str, parameters: Mapping[str, object]) -> None:
    """Check that the address and the parameters name the same holes.

    Raises:
        UsageError: if they do not, or if another brace stands in the address.
    """
    names = [name for name, _ in _HOLE.findall(uri)]
    if re.search(r"[{}]", _HOLE.sub("", uri)):
        raise UsageError(f"{uri!r} has a brace that is no {{name}}", next="write {day} or {day:%Y-%m-%d}")
    for name in names:
        if name not in parameters:
            raise UsageError(f"{{{name}}} in the address has no value", where=uri, next=f"give a value for {name}")
    unused = sorted(parameters.keys() - set(names))
    if unused:
        raise UsageError(
            f"the address does not use the parameter {unused[0]!r}", where=uri, next=f"write {{{unused[0]}}} in it"
        )


def fill(uri: str, parameters: Mapping[str, object]) -> str:
    """Put values in the place of `{name}` and `{day:%Y/%m}`.

    A value is a piece of a name: it may hold no `/` and nothing that is a pattern, so that a parameter from
    outside can't lead to other folders. What the author writes after the colon is strftime's format of a date.

    Raises:
        UsageError: as `check_holes`, and if a value is no such piece.
    """
    check_holes(uri, parameters)
    return _HOLE.sub(lambda m: _piece(m[1], m[2], parameters[m[1]], uri), uri)


def _piece(name: str, form: str | None, value: object, uri: str) -> str:
    if isinstance(value, date):
        return value.strftime(form) if form else value.isoformat()
    if form is not None:
        raise UsageError(f"{{{name}:{form}}} is a form of a date, not of {type(value).__name__}", where=uri)
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text or not text.isprintable() or re.search(r"[/*?\[\]{}\\]", text) or text in (".", ".."):
        raise UsageError(
            f"the value of {{{name}}} can't be a piece of an object's name",
            where=uri,
            next="give a date, a number or a text without / and patterns",
        )
    return text


def locate(uri: str) -> Location:
    """Take an address apart: s3://bucket/key, s3://bucket/folder/ or s3://bucket/folder/*.csv.

    Raises:
        UsageError: if it is none, or holds keys.
    """
    refuse_keys(uri)
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        shown = bucket if "@" not in bucket and ":" not in bucket else "..."
        raise UsageError(f"{scheme[:20]}://{shown[:80]} names no bucket", next="use s3://bucket/key")
    if "//" in key or any(part in (".", "..") for part in key.split("/")):
        raise UsageError(f"{uri!r} has an empty part, or . or .. in it", next="write the object's key as it is")
    return Location(bucket, key)


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
