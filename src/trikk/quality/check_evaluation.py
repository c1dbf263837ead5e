"""All checks of a gate over the rows: counted in one pass, each alone only where that pass fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from trikk.quality.check import Check, CountedCheck, Severity
from trikk.quality.check_verdict import conclude, judge, share_set_aside
from trikk.quality.foreign.foreign_check import ForeignCheck
from trikk.quality.plan import Plan, Scene, Seen
from trikk.quality.quarantine import reason_of
from trikk.quality.result_texts import problem_of
from trikk.quality.row_frames import FAILURES, sample_of

_LEN = "len"


def evaluate(
    checks: Sequence[Check],
    rows: pl.LazyFrame,
    *,
    now: datetime,
    sample: int,
    allow_empty: bool,
    given: object = None,
    at_most: float | None = None,
) -> tuple[dict[str, Any], pl.Expr | None]:
    """The gate's result; if bad rows are to be set aside, also why each row is bad, which is null for a good one.

    Args:
        checks: with all settings known.
        rows: what is checked; read as a stream, and more than once only where checks fail or say so.
        now: what `fresh` counts from, UTC.
        sample: how many failing rows of each check to keep.
        allow_empty: whether checks of rows pass where there are none.
        given: the frame that `rows` are from, for schemas and suites of that frame's library.
        at_most: the share of rows that may be set aside; None to set none aside.

    Raises:
        MissingExtra: if a library that a check needs is not installed.
    """
    counted = [check for check in checks if isinstance(check, CountedCheck)]
    count, seen, plans = _look(counted, rows, now)
    findings = []
    for check in checks:
        if isinstance(check, ForeignCheck):
            findings += check.findings(rows, given, sample=sample)
        if not isinstance(check, CountedCheck):
            continue
        facts, failing = seen[id(check)]
        finding = judge(check, facts, allow_empty=allow_empty)
        # Only of checks that fail: each sample is a pass of its own over the rows.
        if finding["failing"] and failing is not None and sample:
            finding["sample"] = _sample(failing, rows, check, sample)
        if _sorts(check, facts, plans, at_most):
            finding["set_aside"] = not finding["passed"]
        findings.append(finding)
    if at_most is None or not count:
        return conclude(count, findings), None
    reason = reason_of([(c, plans[id(c)]) for c in counted if _sorts(c, seen[id(c)][0], plans, at_most)])
    # Counted by the reason itself and not from the checks: a row may fail several.
    bad = rows.select(reason.count()).collect(engine="streaming").item()
    return conclude(count, [*findings, share_set_aside(bad, count, at_most, allow_empty=allow_empty)], bad), reason


def _sorts(check: CountedCheck, seen: Seen, plans: Mapping[int, Plan], at_most: float | None) -> bool:
    """Whether the rows that fail a check are set aside: it is of single rows, blocks, and could run."""
    if at_most is None or check.severity != Severity.BLOCK or seen.problem is not None or not seen.rows:
        return False
    return not seen.facts.get("whole") and (plans[id(check)].bad is not None or bool(plans[id(check)].key))


Failing = Callable[[pl.LazyFrame, int], pl.LazyFrame]


def _look(
    checks: Sequence[CountedCheck], rows: pl.LazyFrame, now: datetime
) -> tuple[int | None, dict[int, tuple[Seen, Failing | None]], dict[int, Plan]]:
    """The number of rows, and for each check, by its identity, what was seen and how it is done."""
    plans: dict[int, Plan] = {}
    seen: dict[int, tuple[Seen, Failing | None]] = {}
    try:
        scene = Scene(rows, rows.collect_schema(), now)
    except FAILURES as error:
        # not even the schema could be read: no check can say anything, and the step may be tried again
        return None, {id(check): (Seen(problem=problem_of(error)), None) for check in checks}, {}
    for check in checks:
        try:
            plans[id(check)] = check.plan(scene)
        except FAILURES as error:
            seen[id(check)] = Seen(problem=_problem(error, check, scene)), None
    counts = _count(rows, plans)
    total = counts.pop(_LEN)
    for key, values in counts.items():
        broken = next((v for v in (values, total) if isinstance(v, BaseException)), None)
        if broken is None:
            seen[key] = _read(plans[key], values, total)
        else:
            check = next(c for c in checks if id(c) == key)
            seen[key] = Seen(problem=_problem(broken, check, scene)), None
    return None if isinstance(total, BaseException) else total[_LEN], seen, plans


def _problem(error: BaseException, check: Check, scene: Scene) -> str:
    """Why a check could not run; where the types are at fault, what they are."""
    text = problem_of(error)
    names = check.columns or (check.what.meta.root_names() if isinstance(check.what, pl.Expr) else ())
    types = [f"{name} is {scene.schema[name]}" for name in dict.fromkeys(names) if name in scene.schema]
    return f"{text}; {', '.join(types)}" if types and isinstance(error, pl.exceptions.PolarsError) else text


def _read(plan: Plan, values: Mapping[str, Any], total: Mapping[str, int]) -> tuple[Seen, Failing | None]:
    try:
        return plan.read(values, total[_LEN]), plan.failing
    except FAILURES as error:
        return Seen(problem=problem_of(error)), None


def _count(rows: pl.LazyFrame, plans: Mapping[int, Plan]) -> dict[Any, Any]:
    """The values of all aggregates by plan, or the exception of those that can't be had."""
    wanted: dict[Any, Mapping[str, pl.Expr]] = {_LEN: {_LEN: pl.len()}}
    wanted |= {key: plan.counts for key, plan in plans.items()}
    try:  # in one pass; one aggregate that fails takes all down, so that then each is asked alone
        flat = {f"{key}:{name}": e for key, counts in wanted.items() for name, e in counts.items()}
        row = rows.select(e.alias(name) for name, e in flat.items()).collect(engine="streaming").row(0, named=True)
        return {key: {name: row[f"{key}:{name}"] for name in counts} for key, counts in wanted.items()}
    except FAILURES:
        return {key: _alone(rows, counts) for key, counts in wanted.items()}


def _alone(rows: pl.LazyFrame, counts: Mapping[str, pl.Expr]) -> Any:
    if not counts:
        return {}
    try:
        chosen = rows.select(e.alias(name) for name, e in counts.items())
        return chosen.collect(engine="streaming").row(0, named=True)
    except FAILURES as error:
        return error


def _sample(failing: Failing, rows: pl.LazyFrame, check: Check, most: int) -> list[Any]:
    """Some failing rows; none where they can't be had, since the verdict stands without them."""
    try:
        return list(sample_of(failing(rows, most).collect(engine="streaming"), check.columns))
    except FAILURES:
        return []
