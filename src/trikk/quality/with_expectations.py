"""A Great Expectations suite as a check: each expectation is a result of its own.

The suite is validated in a context that lives in memory, so that no file is written, and with the analytics of
earlier versions of the library switched off, by the variable that they read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import polars as pl

from trikk.core.errors import MissingExtra, UsageError
from trikk.quality.check import SEVERITIES, Check
from trikk.quality.check_verdict import finding, in_short, problem_of, share_text
from trikk.quality.row_frames import FAILURES, sample_of, shown, to_pandas

_SEVERITY = {"critical": "block", "warning": "warn", "info": "info"}


def findings(check: Check, rows: pl.LazyFrame, given: object, *, sample: int) -> list[dict[str, Any]]:
    """One result for each expectation of a suite.

    Raises:
        MissingExtra: if great_expectations is not installed.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    try:
        import great_expectations as gx
    except ImportError:
        raise MissingExtra("a Great Expectations suite", "great-expectations") from None
    suite = check.settings["suite"]
    try:
        known, unknown = _sorted(suite)
        frame = rows.collect(engine="streaming")
        found = _validate(gx, known, to_pandas(frame, given), sample) if known else []
    except MissingExtra:
        raise
    except FAILURES as error:
        return [_not_run(check, check.name, "the suite's expectations", problem_of(error))]
    refused = [_not_run(check, kind, "an expectation", f"there is no expectation {kind}") for kind in unknown]
    return refused + [_finding(check, one.to_json_dict(), frame, sample) for one in found]


def _sorted(suite: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """The expectations that the library knows, and the types of the others, which it would leave out silently.

    Raises:
        UsageError: if there are none at all.
    """
    from great_expectations.core.expectation_suite import ExpectationSuite

    known: list[Any] = []
    unknown: list[str] = []
    for one in suite.get("expectations") or []:
        made = ExpectationSuite(name="one", expectations=[one]).expectations
        known += made
        unknown += [] if made else [str(one.get("type") if isinstance(one, Mapping) else one)]
    if not known and not unknown:
        raise UsageError("the suite has no expectations")
    return known, unknown


def _validate(gx: Any, expectations: list[Any], frame: Any, sample: int) -> Any:
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_pandas("trikk")
    batch = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    shape = {"result_format": "SUMMARY", "partial_unexpected_count": sample}
    suite = ExpectationSuite(name="suite", expectations=expectations)
    return batch.get_batch({"dataframe": frame}).validate(suite, result_format=shape).results


def _not_run(check: Check, name: str, expected: str, why: str) -> dict[str, Any]:
    head = (name, check.kind, (), check.severity)
    return finding(*head, passed=False, ran=False, expected=expected, observed=f"could not run: {why}")


def _finding(check: Check, found: Mapping[str, Any], frame: pl.DataFrame, sample: int) -> dict[str, Any]:
    config, result = found["expectation_config"], found.get("result") or {}
    asked = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    columns = [value for key, value in asked.items() if key.startswith("column") and isinstance(value, str)]
    problem = _problem(found.get("exception_info") or {})
    failing = result.get("unexpected_count")
    total = result.get("element_count") or 0
    where = [i for i in result.get("partial_unexpected_index_list") or [] if isinstance(i, int)][:sample]
    return finding(
        f"{config['type']}({', '.join(columns)})" if columns else config["type"],
        check.kind,
        columns,
        check.settings.get("severity") or _severity(config),
        passed=bool(found["success"]) and problem is None,
        ran=problem is None,
        expected=f"{config['type']} {', '.join(f'{key}={shown(value)}' for key, value in asked.items())}".strip(),
        observed=f"could not run: {problem}" if problem else _observed(result, failing, total, sample),
        failing=failing,
        share=failing / total if failing is not None and total else None,
        sample=sample_of(frame[where], columns) if where and not found["success"] else (),
    )


def _observed(result: Mapping[str, Any], failing: int | None, total: int, sample: int) -> str:
    if failing is not None and total:
        return f"{failing:,} of {total:,} rows fail" + (f", {share_text(failing / total)}" if failing else "")
    value = result.get("observed_value")
    if value is None:
        return "no rows" if failing == 0 else "nothing observed"
    return f"found {shown(value)}" if sample or isinstance(value, int | float) else "found what is not shown here"


def _severity(config: Mapping[str, Any]) -> str:
    """What the author wrote into the expectation's meta, else the expectation's own severity."""
    own = (config.get("meta") or {}).get("severity")
    return own if own in SEVERITIES else _SEVERITY.get(str(config.get("severity")), "block")


def _problem(info: Mapping[str, Any]) -> str | None:
    """Why an expectation could not run; the library nests this by metric, or not."""
    if info.get("raised_exception"):
        return in_short(str(info.get("exception_message")))
    for inner in info.values():
        if isinstance(inner, Mapping) and inner.get("raised_exception", True):
            return in_short(str(inner.get("exception_message")))
    return None
