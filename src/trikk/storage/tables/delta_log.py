"""Delta's log folder, read by name: the version of a local table without loading the engine (65 ms and 36 MB).

Format: https://github.com/delta-io/delta/blob/master/PROTOCOL.md. A commit is `_delta_log/` and 20 digits and
`.json`, one action per line; a checkpoint is 20 digits and `.checkpoint...parquet`. delta-rs takes an empty
commit file for a commit without actions, which would lose its rows silently; here it is damage.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from trikk.core.errors import TableError
from trikk.storage.stores.syncing import sync_path
from trikk.storage.tables import sums as table_sums
from trikk.storage.tables.ranges import FileRange

_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet\Z")
_WHOLE_CHECKPOINT = re.compile(r"\d{20}\.checkpoint\.parquet")
RESTORE = "restore the file from a backup, or restore the table's folder"


def local_version(table: Path, at: int | None = None) -> int | None:
    """The newest version of the table in folder `table`, None if there is no table.

    Args:
        table: the table's folder.
        at: check the entries from which this version is read, instead of those of the newest.

    Raises:
        TableError: as `listed_version`; a gap behind the newest entry that was written here is not seen.
    """
    written = table_sums.last_version(table)
    recent = _since_checkpoint(table) if at is None and written is not None else None
    is_newest = recent is not None and written is not None and recent >= written
    return recent if is_newest else listed_version(table, at)


def listed_version(table: Path, at: int | None = None) -> int | None:
    """The newest version, as `local_version` gives it, by the names of all entries.

    Looks at both ends of the entries since the last checkpoint, and into the newest one.

    Raises:
        TableError: if entries after the last checkpoint before the version are missing or cut short, the newest
            entry is not JSON, or it is older than one that was written here.
    """
    written = table_sums.last_version(table)
    commits, checkpoints = _entries(table / "_delta_log")
    if written is not None and written > max(commits, default=-1) and table.is_dir() and table_sums.is_of(table):
        advice = f"{RESTORE}; if an older state was restored on purpose, remove {table_sums.sums_file(table)}"
        raise _damage(table, f"entry {written:020d}.json is missing, the newest that was written", advice)
    if not commits:
        if checkpoints:
            raise _damage(table, f"it has a checkpoint of version {max(checkpoints)} but no entry")
        return None
    newest = max(commits)
    last = newest if at is None else min(at, newest)
    start = max((version for version in checkpoints if version <= last), default=-1) + 1
    for version in range(start, last + 1):
        if version not in commits:
            raise _damage(table, f"entry {version:020d}.json is missing")
        if not _looks_whole(table / "_delta_log" / f"{version:020d}.json"):
            raise _damage(table, f"entry {version:020d}.json is cut short")
    read_commit(table, newest)
    return newest


def _since_checkpoint(table: Path) -> int | None:
    """The newest version by the entries after the last checkpoint; None if they are not all there and whole.

    A folder's listing costs 1 ms for each 1,000 versions, the entries since a checkpoint are a few. That none is
    missing in between is seen by whoever knows which was the last that was written.
    """
    log = table / "_delta_log"
    with suppress(OSError, ValueError, KeyError, TypeError, TableError):
        checkpoint = int(json.loads((log / "_last_checkpoint").read_bytes())["version"])
        newest = checkpoint
        while (log / f"{newest + 1:020d}.json").exists():
            newest += 1
        if all(_looks_whole(log / f"{version:020d}.json") for version in range(checkpoint + 1, newest + 1)):
            read_commit(table, newest)
            return newest
    return None


def read_commit(table: Path, version: int) -> list[dict[str, Any]]:
    """The actions of one commit of a local table, in order; raises TableError if they can't be read."""
    path = table / "_delta_log" / f"{version:020d}.json"
    try:
        return parse_commit(path.read_bytes())
    except OSError as error:
        raise _damage(table, f"entry {path.name} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise _damage(table, f"entry {path.name} {error}") from error


def parse_commit(text: bytes) -> list[dict[str, Any]]:
    """The actions of a commit's file; raises ValueError if they are none."""
    try:
        actions = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise ValueError("is not JSON") from None
    if not actions or not all(isinstance(action, dict) for action in actions):
        raise ValueError("holds no actions")
    return actions


def added(actions: list[dict[str, Any]]) -> list[str] | None:
    """The data files that a commit has added, as paths in the table's folder; None if it did anything else."""
    from urllib.parse import unquote

    if any({"metaData", "protocol"} & action.keys() for action in actions):
        return None
    entries = _only_added(actions)
    return None if entries is None else [unquote(entry["path"]) for entry in entries]


def ranges_added(actions: list[dict[str, Any]], column: str) -> list[FileRange] | None:
    """The data files that a commit has added, with the range of a column; None if rows went or may have gone.

    Files that were only put together anew, as by a compaction, are left out: their rows are as they were.

    Args:
        actions: the commit's.
        column: its name; times are read from their text, with a zone if that has one.
    """
    entries = _only_added(actions)
    return None if entries is None else [_range_of(entry, column) for entry in entries]


def _only_added(actions: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The entries of files with new rows; None if a commit has taken rows away, or may have."""
    entries = []
    for action in actions:
        for kind in ("add", "remove"):
            entry = action.get(kind)
            if entry is None or not entry.get("dataChange", True):
                continue
            if kind == "remove" or entry.get("deletionVector"):
                return None
            entries.append(entry)
    return entries


def _range_of(entry: dict[str, Any], column: str) -> FileRange:
    stats = json.loads(entry.get("stats") or "{}")
    least, greatest = (_value(stats.get(bound, {}).get(column)) for bound in ("minValues", "maxValues"))
    return FileRange(entry["path"], least, greatest)


def _value(end: Any) -> Any:
    """One end of a range; a text that is a time as a datetime."""
    if isinstance(end, str):
        with suppress(ValueError):
            return datetime.fromisoformat(end)
    return end


def find_damage(table: Path) -> str | None:
    """What is wrong with a local table's log, None if every entry can be read; reads all of it."""
    try:
        listed_version(table)
        for version in sorted(_entries(table / "_delta_log")[0]):
            read_commit(table, version)
    except TableError as error:
        return error.what
    return None


def sync_commit(table: Path, version: int) -> None:
    """Force one commit of a local table to disk: its data files, its entry, the folders; and keep their digests.

    delta-rs renames without syncing, so that a power cut could take back what was reported as written.
    """
    from urllib.parse import unquote

    # Data before the entry that names it, the entry before the folder: at no moment does the disk hold a name of
    # something that it has not.
    for action in read_commit(table, version):
        if "add" in action:
            sync_path(table / unquote(action["add"]["path"]))
    sync_path(table)
    sync_path(table / "_delta_log" / f"{version:020d}.json")
    sync_path(table / "_delta_log")
    if version == 0:
        sync_path(table.parent)
    # Digests of the commits before this one as well, if their writers were killed before they had added them;
    # a write that is found made has them already.
    last = table_sums.last_version(table)
    first = version if last is None else last + 1
    table_sums.add_commits(table, ((v, read_commit(table, v)) for v in range(first, version + 1)))


def _looks_whole(entry: Path) -> bool:
    text = entry.read_bytes().strip()
    return text.startswith(b"{") and text.endswith(b"}")


def _entries(log: Path) -> tuple[set[int], list[int]]:
    """The versions of commits and of checkpoints."""
    try:
        names = os.listdir(log)  # noqa: PTH208  # thousands of names
    except (FileNotFoundError, NotADirectoryError):
        return set(), []
    return _by_name(names)


def _by_name(names: list[str]) -> tuple[set[int], list[int]]:
    commits = {int(name[:20]) for name in names if name[20:] == ".json" and name[:20].isdecimal()}
    rest = [name for name in names if not name.endswith(".json")]
    return commits, [int(match[1]) for name in rest if (match := _CHECKPOINT.match(name))]


def surplus_checkpoints(names: list[str]) -> list[str]:
    """Which files of a log are checkpoints that may go, as every version can be read without them.

    A checkpoint names all that is in the table and all that has ever left it, so that one every 50 versions takes
    space that grows with the square of their number. Those that stay are at most an eighth as far apart as
    they are from the end: there are few, and a version is read from the one before it and the entries since.

    Args:
        names: of all files in the log.
    """
    commits, _ = _by_name(names)
    # One file each, as delta-rs and trikk write them; of several parts they are another program's.
    checkpoints = sorted(int(name[:20]) for name in names if _WHOLE_CHECKPOINT.fullmatch(name))
    missing = sorted(set(range(max(checkpoints, default=0))) - commits)
    surplus, kept = [], -1
    for version, following in pairwise(checkpoints):
        is_near = following - kept <= (checkpoints[-1] - version) / 8
        if is_near and bisect_right(missing, kept) == bisect_right(missing, following):
            surplus.append(f"{version:020d}.checkpoint.parquet")
        else:
            kept = version
    return surplus


def _damage(table: Path, problem: str, advice: str = RESTORE) -> TableError:
    return TableError(
        f"the log of table {table.name!r} is damaged: {problem}", where=str(table / "_delta_log"), next=advice
    )
