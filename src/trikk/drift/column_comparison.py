"""Compare rows, or profiles of rows, column by column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName, UsageError
from trikk.drift.drift_report import ColumnDrift, DriftReport, Method, MethodName
from trikk.drift.drift_verdict import Facts, Limits, decide
from trikk.drift.measures.column_kinds import CALENDAR, WORDS, Kind, kind_of
from trikk.drift.measures.column_pair import Pair
from trikk.drift.measures.column_summary import ColumnProfile
from trikk.drift.measures.correction import adjusted
from trikk.drift.measures.count_distances import chi_square
from trikk.drift.measures.methods import THRESHOLDS, fits, measure
from trikk.drift.measures.row_pair import RowPair
from trikk.drift.measures.sketch_pair import SketchPair
from trikk.drift.profile import Profile, profile

if TYPE_CHECKING:
    import polars as pl

    Sample = Profile | pl.DataFrame | pl.LazyFrame


def compare(
    reference: Sample,
    current: Sample,
    *,
    columns: Sequence[str] | None = None,
    methods: MethodName | Mapping[str, MethodName] | None = None,
    thresholds: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    minimum: int = 100,
    correction: str | None = "benjamini-hochberg",
) -> DriftReport:
    """Say for each column whether its values are distributed as they were.

    Two DataFrames are compared exactly. If one side is a Profile or a LazyFrame, both are summed up first (a
    LazyFrame in batches) and compared within the bounds that the sketches give.

    Args:
        reference: how it was.
        current: how it is.
        columns: which to compare; None for all of both but dates and date-times, which always move on.
        methods: one for all columns that it can measure, or one for each of some columns; else by type and size.
        thresholds: the least effect that counts, by method ("ks", ...), by column, or for "missing" (the change in
            the share of missing values); what is not named is 0.1.
        alpha: the level of significance, after the correction.
        minimum: the least number of values on each side for a verdict.
        correction: "benjamini-hochberg", "holm" or None; over all tests of the report.

    Returns:
        A report with one finding a column, in the order of the reference, then columns that are new.

    Raises:
        UsageError: if an option is wrong, or a method can't measure its column.
        UnknownName: if a column is in neither sample.
    """
    _check(methods, thresholds or {}, alpha, minimum)
    # refuses an unknown correction before a long comparison
    adjusted([], correction)
    exact = not any(isinstance(sample, Profile) or _lazy(sample) for sample in (reference, current))
    if not exact:
        reference, current = _profiled(reference, columns), _profiled(current, columns)
    names = _names(reference, current, columns, methods)
    facts = [_facts(name, reference, current, methods, minimum) for name in names]
    tests = [fact.measured.p_value if fact.measured else None for fact in facts]
    tests += [fact.missing_p for fact in facts]
    corrected = iter(adjusted([p for p in tests if p is not None], correction))
    corrected_ps = [None if p is None else next(corrected) for p in tests]
    limits = {**THRESHOLDS, **(thresholds or {})}
    verdicts: list[ColumnDrift] = []
    for i, fact in enumerate(facts):
        method = fact.measured.method if fact.measured else Method.KS
        wanted = Limits(limits.get(fact.column, limits[method]), limits["missing"], alpha, minimum)
        verdicts.append(decide(fact, corrected_ps[i], corrected_ps[len(facts) + i], wanted))
    return DriftReport(tuple(verdicts), _rows(reference), _rows(current), alpha, correction, minimum, exact)


def _check(
    methods: MethodName | Mapping[str, MethodName] | None,
    thresholds: Mapping[str, float],
    alpha: float,
    minimum: int,
) -> None:
    named = [methods] if isinstance(methods, str) else list((methods or {}).values())
    for method in named:
        if method not in [*Method]:
            raise UnknownName("method", str(method), [*Method])
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}", next="give a level of significance between 0 and 1")
    if minimum < 2:
        raise UsageError(f"minimum is {minimum}", next="give 2 or more; below 100 verdicts are shaky")
    for name, limit in thresholds.items():
        if not (math.isfinite(limit) and limit >= 0):
            raise UsageError(f"the threshold of {name} is {limit}", next="give 0 or more")


def _lazy(sample: Sample) -> bool:
    import polars as pl

    return isinstance(sample, pl.LazyFrame)


def _profiled(sample: Sample, columns: Sequence[str] | None) -> Profile:
    if isinstance(sample, Profile):
        return sample
    names = sample.collect_schema().names()
    return profile(sample, None if columns is None else [name for name in names if name in columns])


def _names(
    reference: Sample,
    current: Sample,
    columns: Sequence[str] | None,
    methods: MethodName | Mapping[str, MethodName] | None,
) -> list[str]:
    kinds_before, kinds_now = _kinds(reference), _kinds(current)
    known = {**kinds_before, **kinds_now}
    named = [*(columns or []), *(methods if isinstance(methods, Mapping) else [])]
    for name in named:
        if name not in known:
            raise UnknownName("column", name, known)
    if columns is not None:
        return list(dict.fromkeys(columns))
    calendar = {name for name in known if {kinds_before.get(name), kinds_now.get(name)} <= {*CALENDAR, None}}
    return [name for name in known if name not in calendar or (isinstance(methods, Mapping) and name in methods)]


def _kinds(sample: Sample) -> dict[str, Kind]:
    if isinstance(sample, Profile):
        return {name: column.kind for name, column in sample.columns.items()}
    return {name: kind_of(dtype) for name, dtype in sample.collect_schema().items()}


def _facts(
    name: str,
    reference: Sample,
    current: Sample,
    methods: MethodName | Mapping[str, MethodName] | None,
    minimum: int,
) -> Facts:
    pair = _pair(name, reference, current)
    if isinstance(pair, str):
        return Facts(name, pair)
    before, now = pair.reference, pair.current
    measured, missing_p = None, None
    trouble = _mismatch(pair)
    if trouble is None and min(before.values, now.values) >= minimum:
        measured = measure(pair, _method(name, pair, methods))
    if trouble is None and min(before.rows, now.rows) >= minimum and before.missing + now.missing:
        missing_p = chi_square([before.missing, before.values], [now.missing, now.values]).p_value
    return Facts(
        name,
        trouble,
        measured,
        before.values,
        now.values,
        before.missing_share,
        now.missing_share,
        missing_p,
    )


def _pair(name: str, reference: Sample, current: Sample) -> Pair | str:
    """The column on both sides, or why there is none."""
    before, now = _column(reference, name), _column(current, name)
    if before is None:
        return "the column is new: the reference has none"
    if now is None:
        return "the column is gone: the current rows have none"
    if isinstance(before, ColumnProfile) and isinstance(now, ColumnProfile):
        return SketchPair(before, now)
    assert not isinstance(before, ColumnProfile)
    assert not isinstance(now, ColumnProfile)
    return RowPair(before, now)


def _column(sample: Sample, name: str) -> pl.Series | ColumnProfile | None:
    import polars as pl

    if isinstance(sample, Profile):
        return sample.columns.get(name)
    assert isinstance(sample, pl.DataFrame)
    return sample[name] if name in sample.columns else None


def _mismatch(pair: Pair) -> str | None:
    before, now = pair.reference, pair.current
    if Kind.NESTED in (before.kind, now.kind):
        nested = before.dtype if before.kind is Kind.NESTED else now.dtype
        return f"values of type {nested} have no distribution to compare"
    if before.kind != now.kind and Kind.EMPTY not in (before.kind, now.kind):
        words = f"{WORDS[before.kind]} ({before.dtype}) has become {WORDS[now.kind]} ({now.dtype})"
        return f"the column changed its type: {words}"
    return None


def _method(name: str, pair: Pair, methods: MethodName | Mapping[str, MethodName] | None) -> MethodName | None:
    if methods is None:
        return None
    if isinstance(methods, str):
        return methods if fits(methods, pair) else None
    method = methods.get(name)
    if method is not None and not fits(method, pair):
        raise UsageError(
            f"{method} can't measure {name!r}, which is {WORDS[pair.reference.kind]}",
            next='use "jensen-shannon", "chi-square" or "psi" for it',
        )
    return method


def _rows(sample: Sample) -> int:
    import polars as pl

    if isinstance(sample, Profile):
        return sample.rows
    assert isinstance(sample, pl.DataFrame)
    return sample.height
