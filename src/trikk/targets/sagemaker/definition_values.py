"""Values of a pipeline definition that are known only when an execution runs: references, and texts made of them.

The service converts nothing: a number where a text has to stand is refused when the execution gets there. So
every reference that becomes part of a text stands in a `Std:Join`. Source:
https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps.html, and what the SDK emits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trikk.core.values import JSON

EXECUTION_ID: JSON = {"Get": "Execution.PipelineExecutionId"}
LONGEST_PARAMETER = 1024
"""Characters of a value that an execution is started with (botocore's shape String1024)."""


def parameter(name: str) -> JSON:
    """A parameter of the pipeline."""
    return {"Get": f"Parameters.{name}"}


def join(*parts: JSON) -> JSON:
    """A text made of texts and references; a plain text if there are no references in it."""
    values: list[JSON] = []
    for part in parts:
        inner: Any = part.get("Std:Join") if isinstance(part, dict) else None
        for value in inner["Values"] if inner else [part]:
            if isinstance(value, str) and values and isinstance(values[-1], str):
                values[-1] += value
            elif value != "":
                values.append(value)
    if all(isinstance(value, str) for value in values):
        return "".join(str(value) for value in values)
    return {"Std:Join": {"On": "", "Values": values}}


def literal_length(value: JSON) -> int:
    """How many characters of a text are known now."""
    if isinstance(value, str):
        return len(value)
    inner: Any = value.get("Std:Join") if isinstance(value, dict) else None
    return sum(literal_length(part) for part in inner["Values"]) if inner else 0


def references(value: JSON) -> Iterator[str]:
    """What the references anywhere in a value lead to, such as `Parameters.day`."""
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield str(value["Get"])
        else:
            for inner in value.values():
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
