"""Everything that a run made and logged, by names that people can type, and out of the store as ordinary files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trikk.core.errors import StorageError, UnknownName, UsageError
from trikk.core.record import Record
from trikk.core.values import plain
from trikk.runs.run_state import RunState, TaskState, output_name
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.files import copy_out
from trikk.storage.codecs.manifest import KINDS, Container, Manifest, inner_path
from trikk.tracking.fold import RunRecord, label

_FRAMES = (".parquet", ".csv", ".json", ".ndjson", ".arrow")


class Output(Record, frozen=True):
    """One thing that a run made."""

    # unique in the run: the step's name for what it returned ("fit", "split.0", "load[3]"), or the name under
    # which it was logged
    name: str
    step: str  # which step made it
    kind: str  # "output", or that of a logged artifact: figure, file, value, report
    artifact: Artifact  # where it is


def outputs(state: RunState, record: RunRecord) -> list[Output]:
    """What a run's steps returned, and then what they logged."""
    listed: dict[str, Output] = {}
    for (step, item), task in state.tasks():
        name = label((step, item))
        for key, artifact in _returned(name, task):
            listed[key] = Output(key, name, "output", artifact)
    for name, series in record.files().items():
        key = name if name not in listed else f"{label(series.task)}.{name}"
        last = series.entries[-1]
        listed[key] = Output(key, label(series.task), last.kind, last.artifact)
    return list(listed.values())


def _returned(name: str, task: TaskState) -> Iterator[tuple[str, Artifact]]:
    returned = task.outputs or []
    for position, output in enumerate(returned):
        yield output_name(name, position, len(returned)), Artifact.read(output)


def find(listed: list[Output], name: str) -> Output:
    """The output of that name; UnknownName if there is none."""
    for output in listed:
        if output.name == name:
            return output
    raise UnknownName("artifact", name, [output.name for output in listed])


def export(artifacts: Artifacts, artifact: Artifact, to: Path) -> Path:
    """Write an artifact as an ordinary file or folder, whole or not at all.

    A frame becomes what the ending of the path says: .parquet, .csv, .json (rows), .ndjson or .arrow. Plain data
    becomes JSON, or a text itself where the ending is another; files and figures are what they were; a list, dict
    or folder becomes a folder; of anything else, such as a pickled model, the stored bytes are written: nothing
    is unpickled.

    Args:
        artifacts: the store's values.
        artifact: what to write.
        to: the path, which must be free.

    Returns:
        The path.

    Raises:
        UsageError: if the path is taken, or the ending is not a format for it.
        StorageError: if it can't be read from the store, or written.
    """
    if to.exists() or to.is_symlink():
        raise UsageError(f"{to} is there already", next="name another path, or remove it")
    part = to.with_name(f".{os.urandom(6).hex()}.part")
    try:
        if artifact.codec in KINDS:
            _export_items(artifacts, artifact, part)
        else:
            _write(artifacts, artifact, part, to.suffix.lower())
        part.rename(to)
    except OSError as error:
        raise StorageError(
            f"{to} can't be written: {error.strerror or error}", next="check its folder, and the room on the disk"
        ) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
    return to


def file_name(artifact: Artifact, name: str) -> str:
    """The file name under which an artifact of that name is at its best: with an ending that says what it is."""
    base = name.replace("/", "_")
    given = str(artifact.summary.get("name") or "") if artifact.codec == "file" else ""
    ending = {"arrow": ".parquet", "json": ".json", "pickle": ".pickle", "numpy": ".npy", "lightgbm": ".txt"}
    wanted = Path(given).suffix if given else ending.get(artifact.codec, "")
    if artifact.summary.get("type") == "str" and Path(base).suffix:
        return base
    return base if base.lower().endswith(wanted.lower()) else base + wanted


def _write(artifacts: Artifacts, artifact: Artifact, to: Path, ending: str) -> None:
    if artifact.codec == "arrow" and ending not in ("", ".arrow"):
        _write_frame(artifacts, artifact, to, ending)
    elif artifact.codec == "json":
        value = plain(artifacts.read_json(artifact))
        if ending in ("", ".json"):
            to.write_text(json.dumps(value, indent=2) + "\n")
        elif isinstance(value, str):
            to.write_text(value, errors="surrogateescape")
        else:
            raise UsageError(f"plain data can't be written as {ending}", next="end the path in .json")
    else:
        copy_out(artifacts.store.fetch(artifact.digest), to)


def _write_frame(artifacts: Artifacts, artifact: Artifact, to: Path, ending: str) -> None:
    import polars as pl

    if ending not in _FRAMES:
        raise UsageError(f"a frame can't be written as {ending}", next=f"end the path in {', '.join(_FRAMES)}")
    frame: Any = artifacts.load(artifact, pl.LazyFrame)
    if ending == ".parquet":
        frame.sink_parquet(to)
    elif ending == ".csv":
        try:
            frame.sink_csv(to)
        except pl.exceptions.ComputeError as error:
            raise UsageError(
                f"this frame can't be written as CSV: {error}", next="use .parquet or .json"
            ) from error
    elif ending == ".ndjson":
        frame.sink_ndjson(to)
    else:
        frame.collect().write_json(to)


def _export_items(artifacts: Artifacts, artifact: Artifact, to: Path) -> None:
    """A folder's files under their names; a container's items under their keys or positions."""
    manifest = Manifest.from_bytes(artifacts.store.fetch(artifact.digest).read_bytes())
    keys = [plain(key) for key in manifest.keys] or list(range(len(manifest.children)))
    to.mkdir()
    for key, child in zip(keys, manifest.children, strict=True):
        if manifest.kind == Container.FOLDER:
            target = to / str(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_out(artifacts.store.fetch(child.digest), target)
            continue
        target = to / inner_path(file_name(child, str(key)))
        if target.exists():
            raise UsageError(f"two items would be written to {target.name}", next="take the value in a step")
        if child.codec in KINDS:
            _export_items(artifacts, child, target)
        else:
            _write(artifacts, child, target, target.suffix.lower())
