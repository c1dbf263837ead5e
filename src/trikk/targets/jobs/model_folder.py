"""What a step has returned, as files in a folder that an engine keeps as a model.

The folder is a store of artifacts of its own, so that trikk reads it back anywhere, without the project's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trikk.core.errors import StorageError
from trikk.runs.events import EventKind
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.locations import open_store
from trikk.targets.jobs.job_report import JobReport

_FILE = "model.json"
_STORE = "artifacts"


def write_model(folder: Path | None, report: JobReport, artifacts: Artifacts) -> None:
    """Put a step's first output into a folder; nothing if the step was skipped or has failed.

    Raises:
        StorageError: if it can't be read, or the folder not be written.
    """
    outputs: list[Any] = next(
        (e.body["outputs"] for e in reversed(report.events) if e.kind == EventKind.STEP_SUCCEEDED), []
    )
    if folder is None or not outputs:
        return
    artifact = Artifact.read(outputs[0])
    try:
        (folder / _STORE).mkdir(parents=True, exist_ok=True)
        store = open_store(str((folder / _STORE).resolve()))
        for each in (artifact, *artifacts.children(artifact)):
            copy = store.workspace() / each.digest
            artifacts.store.export(each.digest, copy)
            store.add(copy, each.digest)
        (folder / _FILE).write_bytes(artifact.to_bytes())
    except OSError as error:
        raise StorageError(f"the model can't be written: {error.strerror}", where=str(folder)) from error


def read_model(folder: Path) -> Any:
    """The value that `write_model` put there.

    Raises:
        StorageError: if there is none.
    """
    try:
        artifact = Artifact.from_bytes((folder / _FILE).read_bytes())
    except OSError as error:
        raise StorageError(f"there is no model here: {error.strerror}", where=str(folder)) from error
    return Artifacts(open_store(str((folder / _STORE).resolve()))).load(artifact)
