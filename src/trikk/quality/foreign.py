"""Schemas and suites of other libraries as checks: recognised without importing the library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.pipeline.location import caller
from trikk.quality.check import Check, Severity


def pandera_schema(schema: Any, *, severity: Severity = "block", name: str = "") -> Check:
    """A Pandera schema (a `DataFrameSchema` or `DataFrameModel`, for polars or pandas), as it is.

    Args:
        schema: the schema; each of its checks that fails becomes a result of its own.
        severity: what a failure means.
        name: instead of the schema's own.
    """
    label = name or str(getattr(schema, "name", None) or getattr(schema, "__name__", None) or "pandera")
    return Check("pandera", (), {"schema": repr(schema)}, severity, name=label, what=schema)


def expectations(suite: Any, *, severity: Severity | None = None, name: str = "") -> Check:
    """A Great Expectations suite (1.x), as it is.

    Args:
        suite: an `ExpectationSuite`, or its JSON as a dict.
        severity: what a failure means; if not given, what each expectation says of itself: `meta["severity"]` as
            info, warn or block, or its `severity` (critical blocks, warning warns), else block.
        name: instead of the suite's own.
    """
    data = suite if isinstance(suite, Mapping) else suite.to_json_dict()
    label = name or str(data.get("name") or "expectations")
    settings = {"suite": dict(data), "severity": severity}
    return Check("expectations", (), settings, severity or "block", name=label)


def check_of(value: object) -> Check:
    """A check from what an author may put into a gate's list.

    Raises:
        DefinitionError: if it is none.
    """
    if isinstance(value, Check):
        return value
    module = (value.__module__ if isinstance(value, type) else type(value).__module__).partition(".")[0]
    bases = value.__mro__ if isinstance(value, type) else ()
    if module == "pandera" or any(base.__module__.startswith("pandera.") for base in bases):
        return pandera_schema(value)
    if hasattr(value, "to_json_dict") and hasattr(value, "expectations"):
        return expectations(value)
    if isinstance(value, Mapping) and "expectations" in value:
        return expectations(value)
    raise DefinitionError(
        f"{value!r} is no check",
        where=caller(),
        next='give checks such as not_null("id"), a Pandera schema or a Great Expectations suite',
    )
