"""A Pandera schema as a check: each part of it that fails is a result of its own.

Of a LazyFrame Pandera checks only the types, not the values, so that the rows are collected first.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from trikk.core.errors import MissingExtra
from trikk.quality.check import Check
from trikk.quality.check_verdict import finding, in_short, problem_of, share_text
from trikk.quality.row_frames import FAILURES, sample_of, to_pandas

_SCHEMA = "rows that fit the schema"
_WORDS = {"column_in_dataframe": "no column", "column_in_schema": "unexpected column"}


def findings(check: Check, rows: pl.LazyFrame, given: object, *, sample: int) -> list[dict[str, Any]]:
    """The results of a schema: one that passed, or one for each part of it that failed.

    Raises:
        MissingExtra: if pandera is not installed.
    """
    try:
        from pandera.errors import SchemaErrors
    except ImportError:
        raise MissingExtra("a Pandera schema", "pandera") from None
    head: dict[str, Any] = {"name": check.name, "kind": check.kind, "columns": (), "severity": check.severity}
    try:
        frame = rows.collect(engine="streaming")
        check.what.validate(to_pandas(frame, given) if _is_for_pandas(check.what) else frame, lazy=True)
    except SchemaErrors as error:
        return [_failed(check, part, frame, error, sample) for part in _parts(error)]
    except MissingExtra:
        raise
    except FAILURES as error:
        told = f"could not run: {problem_of(error)}"
        return [finding(**head, passed=False, ran=False, expected=_SCHEMA, observed=told)]
    return [finding(**head, passed=True, expected=_SCHEMA, observed=f"{frame.height:,} rows fit")]


def _is_for_pandas(schema: Any) -> bool:
    classes = schema.__mro__ if isinstance(schema, type) else type(schema).__mro__
    return any(cls.__module__.startswith("pandera.api.pandas") for cls in classes)


def _parts(error: Any) -> list[pl.DataFrame]:
    """The failure cases of each check of the schema: column, check, failure_case and index, which may be null."""
    cases = error.failure_cases
    names = ("column", "check", "failure_case")
    if isinstance(cases, pl.DataFrame):
        found = cases.select(*(pl.col(name).cast(pl.String) for name in names), pl.col("index").cast(pl.Int64))
    else:
        texts = {name: [None if v is None else str(v) for v in cases[name]] for name in names}
        index = [int(v) if isinstance(v, int) else None for v in cases["index"].tolist()]
        found = pl.DataFrame(
            {**texts, "index": index}, schema=dict.fromkeys(names, pl.String) | {"index": pl.Int64}
        )
    return found.partition_by("column", "check", maintain_order=True)


def _failed(check: Check, part: pl.DataFrame, frame: pl.DataFrame, error: Any, sample: int) -> dict[str, Any]:
    column, label = part["column"][0], str(part["check"][0])
    here = [column] if column in frame.columns else []
    where = sorted(set(part["index"].drop_nulls()))
    raised = {getattr(one.check, "name", None) for one in error.schema_errors if _has_raised(one)}
    ran = label not in raised
    if where:
        observed = f"{len(where):,} of {frame.height:,} rows fail, {share_text(len(where) / frame.height)}"
    else:
        cases = in_short(", ".join(part["failure_case"].fill_null("null").head(5)))
        observed = f"{_WORDS.get(label, 'found')} {cases}" if ran else f"could not run: {cases}"
    return finding(
        f"{check.name}: {column + ' ' if here else ''}{label}",
        check.kind,
        here,
        check.severity,
        passed=False,
        ran=ran,
        expected=label,
        observed=observed,
        failing=len(where) if where else None,
        share=len(where) / frame.height if where else None,
        sample=sample_of(frame[where[:sample]], here) if sample else (),
    )


def _has_raised(error: Any) -> bool:
    return getattr(error.reason_code, "name", "") == "CHECK_ERROR"
