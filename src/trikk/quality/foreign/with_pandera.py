"""A Pandera schema as a check: each part of it that fails is a result of its own.

Of a LazyFrame Pandera checks only the types, not the values, so that the rows are collected first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.core.errors import MissingExtra
from trikk.quality.check import Check, SeverityName
from trikk.quality.check_verdict import finding
from trikk.quality.foreign.foreign_check import ForeignCheck
from trikk.quality.result_texts import in_short, problem_of, share_text

if TYPE_CHECKING:
    import polars as pl

_SCHEMA = "rows that fit the schema"
_WORDS = {"column_in_dataframe": "no column", "column_in_schema": "unexpected column"}


@dataclass(frozen=True, slots=True)
class PanderaSchema(ForeignCheck):
    """See `pandera_schema`."""

    schema: str = ""  # the schema as text, so that another one is another argument; `what` is the schema itself
    kind: ClassVar[str] = "pandera"

    def findings(self, rows: pl.LazyFrame, given: object, *, sample: int) -> list[dict[str, Any]]:
        """One result that passed, or one for each part of the schema that failed."""
        from trikk.quality.row_frames import FAILURES, to_pandas

        try:
            from pandera.errors import SchemaErrors
        except ImportError:
            raise MissingExtra("a Pandera schema", "pandera") from None
        head: dict[str, Any] = {"name": self.name, "kind": self.kind, "columns": (), "severity": self.severity}
        try:
            frame = rows.collect(engine="streaming")
            # Lazily: all that fails at once, and not the first alone.
            self.what.validate(to_pandas(frame, given) if _is_for_pandas(self.what) else frame, lazy=True)
        except SchemaErrors as error:
            return [_failed(self, part, frame, error, sample) for part in _parts(error)]
        except MissingExtra:
            raise
        except FAILURES as error:
            problem = f"could not run: {problem_of(error)}"
            return [finding(**head, passed=False, ran=False, expected=_SCHEMA, observed=problem)]
        return [finding(**head, passed=True, expected=_SCHEMA, observed=f"{frame.height:,} rows fit")]


def pandera_schema(schema: Any, *, severity: SeverityName = "block", name: str = "") -> Check:
    """A Pandera schema (a `DataFrameSchema` or `DataFrameModel`, for polars or pandas), as it is.

    Args:
        schema: the schema; each of its checks that fails becomes a result of its own.
        severity: what a failure means.
        name: instead of the schema's own.
    """
    label = name or str(getattr(schema, "name", None) or getattr(schema, "__name__", None) or "pandera")
    return PanderaSchema((), severity, name=label, schema=repr(schema), what=schema)


def _is_for_pandas(schema: Any) -> bool:
    classes = schema.__mro__ if isinstance(schema, type) else type(schema).__mro__
    return any(cls.__module__.startswith("pandera.api.pandas") for cls in classes)


def _parts(error: Any) -> list[pl.DataFrame]:
    """The failure cases of each check of the schema: column, check, failure_case and index, which may be null."""
    import polars as pl

    cases = error.failure_cases
    names = ("column", "check", "failure_case")
    if isinstance(cases, pl.DataFrame):
        parts = cases.select(*(pl.col(name).cast(pl.String) for name in names), pl.col("index").cast(pl.Int64))
    else:
        texts = {name: [None if v is None else str(v) for v in cases[name]] for name in names}
        index = [int(v) if isinstance(v, int) else None for v in cases["index"].tolist()]
        parts = pl.DataFrame(
            {**texts, "index": index}, schema=dict.fromkeys(names, pl.String) | {"index": pl.Int64}
        )
    return parts.partition_by("column", "check", maintain_order=True)


def _failed(
    check: PanderaSchema, part: pl.DataFrame, frame: pl.DataFrame, error: Any, sample: int
) -> dict[str, Any]:
    from trikk.quality.row_frames import sample_of

    column, label = part["column"][0], str(part["check"][0])
    columns = [column] if column in frame.columns else []
    # A row may fail one check in several columns.
    places = sorted(set(part["index"].drop_nulls()))
    # a check that raised looks like one that failed, but for its reason code
    raised = {getattr(one.check, "name", None) for one in error.schema_errors if _has_raised(one)}
    ran = label not in raised
    if places:
        observed = f"{len(places):,} of {frame.height:,} rows fail, {share_text(len(places) / frame.height)}"
    else:
        cases = in_short(", ".join(part["failure_case"].fill_null("null").head(5)))
        observed = f"{_WORDS.get(label, 'found')} {cases}" if ran else f"could not run: {cases}"
    return finding(
        f"{check.name}: {column + ' ' if columns else ''}{label}",
        check.kind,
        columns,
        check.severity,
        passed=False,
        ran=ran,
        expected=label,
        observed=observed,
        failing=len(places) if places else None,
        share=len(places) / frame.height if places else None,
        sample=sample_of(frame[places[:sample]], columns) if sample else (),
    )


def _has_raised(error: Any) -> bool:
    return getattr(error.reason_code, "name", "") == "CHECK_ERROR"
