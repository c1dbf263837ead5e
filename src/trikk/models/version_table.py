"""Versions of a model side by side: one line for each thing that they may differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trikk.core.values import JSON
from trikk.models.version import ModelVersion


@dataclass(frozen=True, slots=True)
class Line:
    """One thing, and what it is in each version (None where a version does not have it).

    Attributes:
        kind: "metric", "parameter", "table", "model", "input", "output", "task", "classes", "positive", "code",
            "run" or "artifact".
        name: which one.
        values: one for each version.
    """

    kind: str
    name: str
    values: tuple[JSON, ...]

    @property
    def differs(self) -> bool:
        """Whether the versions are not the same in it."""
        return any(value != self.values[0] for value in self.values)

    def to_json(self) -> dict[str, JSON]:
        """The line as JSON."""
        return {"kind": self.kind, "name": self.name, "values": list(self.values), "differs": self.differs}


def side_by_side(versions: Sequence[ModelVersion]) -> list[Line]:
    """All lines for these versions: metrics first, then what they were made of, then what they take."""
    parts: list[tuple[str, list[dict[str, JSON]]]] = [
        ("metric", [dict(v.metrics) for v in versions]),
        ("parameter", [v.parameters for v in versions]),
        ("table", [dict(v.tables) for v in versions]),
        ("model", [dict(v.models) for v in versions]),
        ("", [_origins(v) for v in versions]),
        ("input", [_inputs(v) for v in versions]),
        ("", [_task(v) for v in versions]),
        (
            "output",
            [{} if v.signature is None else {f.name: f.dtype for f in v.signature.outputs} for v in versions],
        ),
    ]
    lines: list[Line] = []
    for kind, columns in parts:
        names = dict.fromkeys(name for column in columns for name in column)
        lines += [Line(kind or name, name, tuple(column.get(name) for column in columns)) for name in names]
    return lines


def _origins(version: ModelVersion) -> dict[str, JSON]:
    return {
        "type": version.artifact.summary.get("type"),
        "artifact": version.artifact.digest,
        "code": version.code,
        "pipeline": version.pipeline,
        "run": version.run,
    }


def _task(version: ModelVersion) -> dict[str, JSON]:
    signature = version.signature
    if signature is None or signature.task is None:
        return {}
    if signature.classes is None:
        return {"task": str(signature.task)}
    task: dict[str, JSON] = {"task": str(signature.task), "classes": [*signature.classes.values]}
    return task if signature.positive is None else {**task, "positive": signature.positive}


def _inputs(version: ModelVersion) -> dict[str, JSON]:
    if version.signature is None:
        return {}
    return {f.name: f.dtype + (", may be empty" if f.nullable else "") for f in version.signature.inputs}
