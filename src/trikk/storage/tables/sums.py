"""Digests of what each commit of a local table has written, so that flipped bytes and lost log entries are found.

Parquet files of delta-rs carry no checksums: a flipped byte may be read as another value. A log that has lost its
newest entry looks like that of a table which never had it; the next write would take its number. So every commit
adds a line to `ROOT/.sums/NAME`: its version, and the digests of its entry, its data files and its checkpoint. The
first line names the table by its id: another program may remove the folder and begin a table of that name anew, of
which the lines say nothing. A bucket keeps checksums of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_file, is_digest
from trikk.core.errors import TableError

_LAST = re.compile(rb'"version": (\d+)\}\n\Z')
_TAIL = 64
_TABLE = re.compile(r'"metaData":\{"id":"([^"]+)"')


def sums_file(table: Path) -> Path:
    """Where the digests of the table in folder `table` are."""
    return table.parent / ".sums" / table.name


def last_version(table: Path) -> int | None:
    """The version of the newest line; None if there is none."""
    try:
        with sums_file(table).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            match = _LAST.search(file.read())
    except OSError:
        return None
    return int(match[1]) if match else max((line["version"] for line in _lines(table)), default=None)


def add_commits(table: Path, entries: Iterable[tuple[int, list[dict[str, Any]]]]) -> None:
    """Add the lines of commits, given as (version, actions) in order.

    The caller holds the table's lock.
    """
    file = sums_file(table)
    file.parent.mkdir(exist_ok=True)
    with file.open("ab+") as out:
        end = out.seek(0, os.SEEK_END)
        out.seek(max(0, end - 1))
        if end and out.read(1) != b"\n":
            out.write(b"\n")  # a full disk or a power cut has left half a line
        for number, actions in entries:
            names = [path for path in _written(number, actions) if (table / path).is_file()]
            line: dict[str, Any] = {} if end else {"table": _id(table)}
            line |= {"files": {name: digest_file(table / name) for name in names}, "version": number}
            end = out.write(json.dumps(line).encode() + b"\n")


def forget(table: Path) -> None:
    """Begin anew: the table's folder was removed."""
    sums_file(table).unlink(missing_ok=True)


def is_of(table: Path) -> bool:
    """Whether the lines are of the table that is there, not of an earlier one of its name; True if in doubt."""
    was, now = next(_lines(table), {}).get("table"), _id(table)
    if not isinstance(was, str) or now is None:
        return True
    # A flipped bit changes one character of an id, a new table nearly all.
    return len(was) == len(now) and 2 * sum(a != b for a, b in zip(was, now, strict=True)) < len(was)


def _id(table: Path) -> str | None:
    """The id that the table's first entry gives it; None if that can't be read."""
    try:
        with (table / "_delta_log" / f"{0:020d}.json").open(encoding="utf-8", errors="replace") as entry:
            return next((str(match[1]) for line in entry if (match := _TABLE.search(line))), None)
    except OSError:
        return None


def known(table: Path) -> dict[str, str]:
    """The digests of the table's files by path, as far as they are known."""
    if not is_of(table):
        return {}
    return {path: digest for line in _lines(table) for path, digest in line["files"].items()}


def damaged(table: Path, paths: Iterable[str]) -> Iterator[str]:
    """Those of the files of a table, and of its log as far as digests are known, that are not what was written.

    Args:
        table: its folder.
        paths: the data files to look at; one without a digest is read to its end instead.
    """
    digests = known(table)
    log = [path for path in digests if path.startswith("_delta_log/") and (table / path).exists()]
    for path in [*log, *paths]:
        if not (_has(table / path, digests[path]) if path in digests else _can_be_read(table / path)):
            yield path


def check(table: Path, paths: Iterable[str]) -> None:
    """Hash some files of a table that are about to be read; one without a digest is let pass.

    Raises:
        TableError: at the first that is not what was written.
    """
    try:
        lines = sums_file(table).read_bytes() if is_of(table) else b""
    except OSError:
        return
    for path in paths:
        # By its name, from the end: to parse thousands of lines for a few files would take longer than a write.
        mark = json.dumps(path).encode() + b': "'
        _, is_known, rest = lines.rpartition(mark)
        # As where all lines are parsed, a flipped bit of them is no damage to the table.
        digest = rest[: rest.find(b'"')].decode(errors="replace") if is_known else ""
        if is_digest(digest) and not _has(table / path, digest):
            raise damage(table, path)


def _has(file: Path, digest: str) -> bool:
    try:
        return digest_file(file) == digest
    except OSError:
        return False


def damage(table: Path, path: str) -> TableError:
    """The error for a damaged file of a table."""
    readable = os.access(table / path, os.R_OK)
    how = "is damaged: its bytes are not those that were written" if readable else "is missing or can't be read"
    return TableError(
        f"file {path} of table {table.name!r} {how}",
        where=str(table),
        next="restore this file from a backup; `trikk doctor` names all that are damaged",
    )


def _written(version: int, actions: list[dict[str, Any]]) -> Iterator[str]:
    from urllib.parse import unquote

    yield f"_delta_log/{version:020d}.json"
    yield f"_delta_log/{version:020d}.checkpoint.parquet"
    yield from (unquote(action["add"]["path"]) for action in actions if "add" in action)


def _can_be_read(file: Path) -> bool:
    import polars as pl

    try:
        for _ in pl.scan_parquet(file, glob=False).collect_batches():
            pass
    except Exception:  # noqa: BLE001  # whatever a damaged file makes the reader raise
        return False
    return True


def _lines(table: Path) -> Iterator[dict[str, Any]]:
    try:
        file = sums_file(table).open(encoding="utf-8", errors="replace")
    except OSError:
        return
    with file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # cut short by a power cut
            if (
                isinstance(record, dict)
                and isinstance(record.get("version"), int)
                and isinstance(record.get("files"), dict)
            ):
                yield record
