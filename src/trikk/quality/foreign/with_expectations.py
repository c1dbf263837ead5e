"""A Great Expectations suite as a check: each expectation is a result of its own.

The suite is validated in a context that lives in memory, so that no file is written, and with the analytics of
earlier versions of the library switched off, by the variable that they read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.core.errors import MissingExtra, UsageError
from trikk.quality.check import Check, Severity, SeverityName
from trikk.quality.check_verdict import finding
from trikk.quality.foreign.foreign_check import ForeignCheck
from trikk.quality.result_texts import in_short, problem_of, share_text

if TYPE_CHECKING:
    import polars as pl

_SEVERITY = {"critical": Severity.BLOCK, "warning": Severity.WARN, "info": Severity.INFO}


@dataclass(frozen=True, slots=True)
class ExpectationSuite(ForeignCheck):
    """See `expectations`."""

    suite: Mapping[str, Any] = field(default_factory=dict)  # the suite's JSON
    # the severity of every expectation; None for what each says of itself
    of_all: Severity | SeverityName | None = None
    kind: ClassVar[str] = "expectations"

    @property
    def settings(self) -> dict[str, Any]:
        """The suite, and the severity of all under the name that graphs have it by."""
        return {"suite": self.suite, "severity": self.of_all}

    @classmethod
    def _fields_of(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"suite": settings["suite"], "of_all": settings["severity"]}

    def findings(self, rows: pl.LazyFrame, given: object, *, sample: int) -> list[dict[str, Any]]:
        """One result for each expectation."""
        from trikk.quality.row_frames import FAILURES, to_pandas

        # Before the import, at which it is read; whoever has set it keeps their wish.
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        try:
            import great_expectations as gx
        except ImportError:
            raise MissingExtra("a Great Expectations suite", "great-expectations") from None
        try:
            known, unknown = _sorted(self.suite)
            frame = rows.collect(engine="streaming")
            results = _validate(gx, known, to_pandas(frame, given), sample) if known else []
        except MissingExtra:
            raise
        except FAILURES as error:
            return [_not_run(self, self.name, "the suite's expectations", problem_of(error))]
        refused = [_not_run(self, kind, "an expectation", f"there is no expectation {kind}") for kind in unknown]
        return refused + [_finding(self, one.to_json_dict(), frame, sample) for one in results]


def expectations(suite: Any, *, severity: SeverityName | None = None, name: str = "") -> Check:
    """A Great Expectations suite (1.x), as it is.

    Args:
        suite: an `ExpectationSuite`, or its JSON as a dict.
        severity: what a failure means; if not given, what each expectation says of itself: `meta["severity"]` as
            info, warn or block, or its `severity` (critical blocks, warning warns), else block.
        name: instead of the suite's own.
    """
    data = suite if isinstance(suite, Mapping) else suite.to_json_dict()
    label = name or str(data.get("name") or "expectations")
    return ExpectationSuite((), severity or "block", name=label, suite=dict(data), of_all=severity)


def _sorted(suite: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """The expectations that the library knows, and the types of the others, which it would leave out silently.

    Raises:
        UsageError: if there are none at all.
    """
    from great_expectations.core import expectation_suite

    known: list[Any] = []
    unknown: list[str] = []
    for one in suite.get("expectations") or []:
        readable = expectation_suite.ExpectationSuite(name="one", expectations=[one]).expectations
        known += readable
        unknown += [] if readable else [str(one.get("type") if isinstance(one, Mapping) else one)]
    if not known and not unknown:
        raise UsageError("the suite has no expectations")
    return known, unknown


def _validate(gx: Any, expectations: list[Any], frame: Any, sample: int) -> Any:
    from great_expectations.core import expectation_suite
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    # Bars would fill the step's log.
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_pandas("trikk")
    batch = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    shape = {"result_format": "SUMMARY", "partial_unexpected_count": sample}
    suite = expectation_suite.ExpectationSuite(name="suite", expectations=expectations)
    return batch.get_batch({"dataframe": frame}).validate(suite, result_format=shape).results


def _not_run(check: ExpectationSuite, name: str, expected: str, why: str) -> dict[str, Any]:
    head = (name, check.kind, (), check.severity)
    return finding(*head, passed=False, ran=False, expected=expected, observed=f"could not run: {why}")


def _finding(
    check: ExpectationSuite, outcome: Mapping[str, Any], frame: pl.DataFrame, sample: int
) -> dict[str, Any]:
    from trikk.quality.row_frames import sample_of, shown

    config, result = outcome["expectation_config"], outcome.get("result") or {}
    arguments = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    stated = ", ".join(f"{key}={shown(value)}" for key, value in arguments.items())
    columns = [value for key, value in arguments.items() if key.startswith("column") and isinstance(value, str)]
    problem = _problem(outcome.get("exception_info") or {})
    failing = result.get("unexpected_count")
    total = result.get("element_count") or 0
    places = [i for i in result.get("partial_unexpected_index_list") or [] if isinstance(i, int)][:sample]
    return finding(
        f"{config['type']}({', '.join(columns)})" if columns else config["type"],
        check.kind,
        columns,
        check.of_all or _severity(config),
        passed=bool(outcome["success"]) and problem is None,
        ran=problem is None,
        expected=f"{config['type']} {stated}".strip(),
        observed=f"could not run: {problem}" if problem else _observed(result, failing, total, sample),
        failing=failing,
        share=failing / total if failing is not None and total else None,
        sample=sample_of(frame[places], columns) if places and not outcome["success"] else (),
    )


def _observed(result: Mapping[str, Any], failing: int | None, total: int, sample: int) -> str:
    from trikk.quality.row_frames import shown

    if failing is not None and total:
        return f"{failing:,} of {total:,} rows fail" + (f", {share_text(failing / total)}" if failing else "")
    value = result.get("observed_value")
    if value is None:
        return "no rows" if failing == 0 else "nothing observed"
    return f"found {shown(value)}" if sample or isinstance(value, int | float) else "found what is not shown here"


def _severity(config: Mapping[str, Any]) -> Severity:
    """What the author wrote into the expectation's meta, else the expectation's own severity."""
    own = (config.get("meta") or {}).get("severity")
    return Severity(str(own)) if own in [*Severity] else _SEVERITY.get(str(config.get("severity")), Severity.BLOCK)


def _problem(info: Mapping[str, Any]) -> str | None:
    """Why an expectation could not run; the library nests this by metric, or not."""
    if info.get("raised_exception"):
        return in_short(str(info.get("exception_message")))
    for inner in info.values():
        if isinstance(inner, Mapping) and inner.get("raised_exception", True):
            return in_short(str(inner.get("exception_message")))
    return None
