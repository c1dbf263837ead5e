"""What a job tells its engine, in files that the engine reads: the step's plain result, or why it failed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from trikk.core.errors import UsageError
from trikk.core.values import decode
from trikk.runs.events import EventKind
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.targets.jobs.job_report import JobReport

_LARGEST = 64_000  # characters: an engine's states hold 256 KiB, and more can't be caught there
_LONGEST_MESSAGE = 1000  # characters; SageMaker shows 1,024
_PLAIN = (bool, int, float, str)


def write_outcome(file: Path | None, report: JobReport, artifacts: Artifacts) -> None:
    """Write `{"state": ..., "value": ..., "is_true": ...}`; of a step with several outputs a list, `outputs`.

    Only what conditions can compare is there: numbers, texts, truth values, and dicts and lists of these; and
    `is_true`, the value's truth, as `with when(value):` takes it. A result that is too large is left out.
    """
    if file is None:
        return
    document: dict[str, Any] = {"state": report.state}
    outputs: list[Any] = next(
        (e.body["outputs"] for e in reversed(report.events) if e.kind == EventKind.STEP_SUCCEEDED), []
    )
    values = [_value(Artifact.read(output), artifacts) for output in outputs]
    if len(values) == 1:
        document |= {"value": values[0], **_truth(Artifact.read(outputs[0]), artifacts)}
    elif values:
        document["outputs"] = values
    text = json.dumps(document, allow_nan=False)
    if len(text) > _LARGEST:
        text = json.dumps({"state": report.state})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write_message(file: Path | None, text: str) -> None:
    """Write why a job failed; at most a thousand characters."""
    if file is not None:
        with contextlib.suppress(OSError):  # the engine hears of the failure by the exit code
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text[:_LONGEST_MESSAGE])


def _value(artifact: Artifact, artifacts: Artifacts) -> Any:
    """A plain value; None for what is none."""
    if artifact.codec != "json":
        return None
    return _plain(artifacts.read_json(artifact))


def _truth(artifact: Artifact, artifacts: Artifacts) -> dict[str, bool]:
    """Whether a plain value is true; nothing for what a driver can't decide either."""
    if artifact.codec != "json":
        return {}
    try:
        return {"is_true": bool(decode(artifacts.read_json(artifact)))}
    except UsageError:  # a member of an Enum of the author's, known by its name, which is never empty
        return {"is_true": True}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return None if "$" in value else {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    is_number = isinstance(value, _PLAIN) and value == value and value not in (float("inf"), -float("inf"))  # noqa: PLR0124
    return value if is_number else None
